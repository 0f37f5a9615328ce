//! Decodes the first frame of a file.

use crate::Refusal;
use crate::budget::{Timed, check_size};
use crate::jpeg::{Outline, outline};
use domain::files::MAX_IMAGE_MEMORY;
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, Limits, RgbImage};
use std::time::Instant;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// The first frame as the file has it.
#[derive(Debug)]
pub struct Frame {
    /// The pixels, not turned, in the colours of the profile.
    pub pixels: DynamicImage,
    /// How to turn them.
    pub orientation: Orientation,
    /// The ICC profile.
    pub profile: Option<Vec<u8>>,
}

/// Decodes a file until that moment.
///
/// # Errors
/// [`Refusal`] if it is no image, faulty, incomplete, or beyond the limits.
pub fn decode(file: &[u8], until: Instant) -> Result<Frame, Refusal> {
    let frame = match image::guess_format(file) {
        Ok(ImageFormat::Jpeg) => jpeg(file, until),
        Ok(ImageFormat::Png) => {
            must_end(file, b"\0\0\0\0IEND\xae\x42\x60\x82")?;
            read(file, PngDecoder::with_limits(Timed::new(file, until), limits())?)
        }
        Ok(ImageFormat::WebP) => {
            let declared = file.get(4..8).and_then(|size| size.try_into().ok()).map_or(0, u32::from_le_bytes);
            if file.len() < declared as usize + 8 {
                return Err(Refusal::Incomplete);
            }
            read(file, WebPDecoder::new(Timed::new(file, until))?)
        }
        Ok(ImageFormat::Gif) => {
            must_end(file, b";")?;
            read(file, GifDecoder::new(Timed::new(file, until))?)
        }
        _ => Err(Refusal::OtherFormat),
    };
    if Instant::now() < until { frame } else { Err(Refusal::Time) }
}

/// Whether the mark of the end is in the file. Decoders are content with less than the whole file.
fn must_end(file: &[u8], mark: &[u8]) -> Result<(), Refusal> {
    let ends = if mark.len() == 1 {
        // The end of a GIF is a single byte, with padding behind it at the most.
        file.iter().rev().find(|byte| **byte != 0) == mark.first()
    } else {
        file.windows(mark.len()).rev().any(|window| window == mark)
    };
    if ends { Ok(()) } else { Err(Refusal::Incomplete) }
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_IMAGE_MEMORY);
    limits
}

fn read(file: &[u8], mut decoder: impl ImageDecoder) -> Result<Frame, Refusal> {
    let (width, height) = decoder.dimensions();
    check_size(width, height, decoder.total_bytes(), file.len())?;
    decoder.set_limits(limits())?;
    let profile = decoder.icc_profile()?;
    let orientation = decoder.orientation()?;
    Ok(Frame { pixels: DynamicImage::from_decoder(decoder)?, orientation, profile })
}

/// `image` decodes what it can of a faulty JPEG. This does not.
fn jpeg(file: &[u8], until: Instant) -> Result<Frame, Refusal> {
    // Some cameras put more images behind the first, at which the decoder stumbles.
    let Outline { end, held } = outline(file).ok_or(Refusal::Incomplete)?;
    let file = &file[..end];
    let side = usize::from(u16::MAX);
    let options =
        DecoderOptions::default().set_strict_mode(true).set_max_width(side).set_max_height(side).set_use_unsafe(true);
    let mut decoder = JpegDecoder::new_with_options(Timed::new(file, until), options);
    decoder.decode_headers()?;
    let info = decoder.info().ok_or(Refusal::Incomplete)?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let is_gray = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let pixels = u64::from(width) * u64::from(height);
    check_size(width, height, pixels * if is_gray { 1 } else { 3 } + held, file.len())?;
    decoder.set_options(options.jpeg_set_out_colorspace(if is_gray { ColorSpace::Luma } else { ColorSpace::RGB }));
    let decoded = decoder.decode()?;
    let pixels = if is_gray {
        GrayImage::from_raw(width, height, decoded).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(width, height, decoded).map(DynamicImage::from)
    };
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    Ok(Frame {
        pixels: pixels.ok_or(Refusal::Incomplete)?,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        profile: decoder.icc_profile(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ExtendedColorType, ImageBuffer, ImageEncoder as _, Rgb};
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// The checksum of a chunk of a PNG.
    fn crc(bytes: &[u8]) -> u32 {
        let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        let of_byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
        !bytes.iter().fold(!0, of_byte)
    }

    /// A PNG that declares to be larger than it is: with 16 bits for each of red, green, blue and alpha.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut file = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut file);
        encoder.write_image(&[0; 4 * 8], 2, 2, ExtendedColorType::Rgba16).unwrap();
        file[16..20].copy_from_slice(&width.to_be_bytes());
        file[20..24].copy_from_slice(&height.to_be_bytes());
        let checksum = crc(&file[12..29]);
        file[29..33].copy_from_slice(&checksum.to_be_bytes());
        file
    }

    /// A JPEG that declares to be larger than it is, and to be of this kind.
    fn jpeg(width: u16, height: u16, kind: u8) -> Vec<u8> {
        let mut file = Vec::new();
        let pixels = ImageBuffer::from_pixel(8, 8, Rgb([9_u8, 9, 9]));
        image::codecs::jpeg::JpegEncoder::new(&mut file).encode_image(&pixels).unwrap();
        let frame = file.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
        file[frame + 1] = kind;
        file[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
        file[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
        file
    }

    fn is_too_large(file: &[u8]) -> bool {
        matches!(decode(file, soon()), Err(Refusal::Memory | Refusal::Image(image::ImageError::Limits(_))))
    }

    #[test]
    fn what_needs_too_much_memory_is_refused_by_its_head() {
        // 35 million pixels of 8 bytes each: fewer pixels than allowed, and more than 256 MiB.
        assert!(is_too_large(&png(7_000, 5_000)) && !is_too_large(&png(700, 500)));
        // Of a progressive JPEG the decoder holds all coefficients beside the pixels.
        assert!(is_too_large(&jpeg(8_000, 5_000, 0xc2)) && !is_too_large(&jpeg(800, 500, 0xc2)));
    }

    #[test]
    fn the_time_ends_in_the_middle_of_any_format() {
        let pixels = ImageBuffer::from_fn(1_500, 1_500, |x, y| Rgb([(x * y) as u8, x as u8, y as u8]));
        let image = DynamicImage::from(pixels);
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif] {
            let mut file = std::io::Cursor::new(Vec::new());
            image.write_to(&mut file, format).unwrap();
            let file = file.into_inner();
            assert!(decode(&file, soon()).is_ok(), "{format:?}");
            // Any moment of the time that it takes; none of these decoders reads on when it is over.
            let refused = decode(&file, Instant::now() + Duration::from_millis(2));
            assert!(matches!(refused, Err(Refusal::Time | Refusal::Image(_) | Refusal::Jpeg(_))), "{format:?}");
        }
    }
}
