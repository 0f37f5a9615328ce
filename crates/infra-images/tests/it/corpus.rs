//! Files of images, made by the tests themselves.

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, RgbaImage};
use std::io::Cursor;

pub fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, format).unwrap();
    file.into_inner()
}

pub fn png(image: &DynamicImage) -> Vec<u8> {
    encoded(image, ImageFormat::Png)
}

pub fn jpeg(image: &DynamicImage) -> Vec<u8> {
    encoded(image, ImageFormat::Jpeg)
}

/// EXIF with that orientation and something else.
pub fn oriented_exif(orientation: u8) -> Vec<u8> {
    let mut exif =
        b"II*\0\x08\0\0\0\x02\0\x0f\x01\x02\0\x04\0\0\0cam\0\x12\x01\x03\0\x01\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    exif[30] = orientation;
    exif
}

/// A segment of a JPEG: marker and payload.
pub struct App<'a>(pub u8, pub &'a [u8]);

/// The JPEG with these segments at its beginning.
pub fn with_app(jpeg: &[u8], apps: &[App]) -> Vec<u8> {
    let segments = apps.iter().flat_map(|App(marker, payload)| {
        let length = u16::try_from(payload.len() + 2).unwrap().to_be_bytes();
        [&[0xff, *marker], &length[..], payload].concat()
    });
    jpeg[..2].iter().copied().chain(segments).chain(jpeg[2..].iter().copied()).collect()
}

/// A chunk of a PNG.
pub fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let typed = [&name[..], data].concat();
    let checksum = !typed.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    });
    [&u32::try_from(data.len()).unwrap().to_be_bytes()[..], &typed, &checksum.to_be_bytes()].concat()
}

/// A WebP without loss, with EXIF if given.
pub fn webp(image: &DynamicImage, exif: Option<&[u8]>) -> Vec<u8> {
    let plain = encoded(image, ImageFormat::WebP);
    let Some(exif) = exif else { return plain };
    let riff = |name: &[u8], data: &[u8]| {
        let padding = vec![0; data.len() % 2];
        [name, &u32::try_from(data.len()).unwrap().to_le_bytes(), data, &padding].concat()
    };
    let side = |length: u32| (length - 1).to_le_bytes()[..3].to_vec();
    let features = [vec![0x08, 0, 0, 0], side(image.width()), side(image.height())].concat();
    let chunks = [&b"WEBP"[..], &riff(b"VP8X", &features), &plain[12..], &riff(b"EXIF", exif)].concat();
    riff(b"RIFF", &chunks)
}

/// A GIF with these frames.
pub fn animation(frames: &[RgbaImage]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new(&mut file);
    encoder.encode_frames(frames.iter().cloned().map(Frame::new)).unwrap();
    drop(encoder);
    file
}

/// A JPEG of 8 by 8 pixels in cyan, magenta, yellow and black, as Adobe writes it: all of one colour.
pub fn cmyk() -> Vec<u8> {
    let segment = |marker: u8, payload: &[u8]| {
        let length = u16::try_from(payload.len() + 2).unwrap().to_be_bytes();
        [&[0xff, marker], &length[..], payload].concat()
    };
    let components: Vec<u8> = (1..=4).flat_map(|n| [n, 0x11, 0]).collect();
    let scanned: Vec<u8> = (1..=4).flat_map(|n| [n, 0]).collect();
    // Tables with one code of one bit each: no difference, and the end of the block.
    let one_code = [&[1_u8][..], &[0; 15], &[0]].concat();
    [
        vec![0xff, 0xd8],
        segment(0xee, b"Adobe\0\x64\0\0\0\0\0"),
        segment(0xdb, &[&[0_u8][..], &[1; 64]].concat()),
        segment(0xc0, &[&[8, 0, 8, 0, 8, 4][..], &components].concat()),
        segment(0xc4, &[&[0x00][..], &one_code].concat()),
        segment(0xc4, &[&[0x10][..], &one_code].concat()),
        segment(0xda, &[&[4][..], &scanned, &[0, 63, 0]].concat()),
        vec![0x00, 0xff, 0xd9],
    ]
    .concat()
}
