//! The contract of the image port.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod corpus;

use corpus::{App, chunk, jpeg, oriented_exif, png, webp, with_app};
use domain::files::{Image, ImageFile, ImageReader, MockBlobStore, MockByteSource, Thumbnail, ThumbnailWidth};
use domain::{FileId, UserId};
use image::{DynamicImage, GenericImageView, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use infra_images::Workshop;
use std::sync::Arc;
use uuid::Uuid;

/// A workshop over a store that has these bytes, and what it is asked for.
fn workshop(bytes: &[u8]) -> (Workshop, ImageFile) {
    let mut blobs = MockBlobStore::new();
    let owned = bytes.to_vec();
    blobs.expect_open().returning(move |_, _| {
        let mut pieces = owned.chunks(4096).map(<[u8]>::to_vec).collect::<Vec<_>>().into_iter();
        let mut source = MockByteSource::new();
        source.expect_next().returning(move || Ok(pieces.next()));
        Ok(Some(Box::new(source)))
    });
    let file =
        ImageFile { id: FileId(Uuid::from_u128(1)), size: bytes.len() as u64, for_user: UserId(Uuid::from_u128(2)) };
    (Workshop::new(Arc::new(blobs)), file)
}

async fn described(bytes: &[u8]) -> Option<Image> {
    let (workshop, file) = workshop(bytes);
    workshop.describe(file).await.unwrap()
}

async fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    described(bytes).await.map(|image| (image.width, image.height))
}

async fn thumbnail(bytes: &[u8], width: ThumbnailWidth) -> (Thumbnail, DynamicImage) {
    let (workshop, file) = workshop(bytes);
    let made = workshop.thumbnail(file, width).await.unwrap().unwrap();
    let decoded = image::load_from_memory(made.as_bytes()).unwrap();
    (made, decoded)
}

/// Red to the left, blue to the right.
fn two_halves(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { Rgb([230, 20, 20]) } else { Rgb([20, 20, 230]) })
}

fn is_red(pixel: Rgba<u8>) -> bool {
    pixel[0] > 180 && pixel[2] < 80
}

fn is_blue(pixel: Rgba<u8>) -> bool {
    pixel[2] > 180 && pixel[0] < 80
}

#[tokio::test]
async fn every_format_has_its_size_and_a_placeholder() {
    let image = DynamicImage::from(two_halves(40, 30));
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif] {
        let found = described(&corpus::encoded(&image, format)).await.unwrap();
        assert_eq!((found.width, found.height), (40, 30), "{format:?}");
        let (_, _, shown) = thumbhash::thumb_hash_to_rgba(found.thumb_hash.as_bytes()).unwrap();
        let last = shown.len() - 4;
        assert!(shown[0] > shown[2] && shown[last + 2] > shown[last], "{format:?}: red to the left, blue to the right");
    }
}

#[tokio::test]
async fn more_bits_gray_and_a_palette_are_read() {
    let deep: ImageBuffer<Rgba<u16>, Vec<u16>> = ImageBuffer::from_pixel(7, 5, Rgba([65_535, 0, 0, 65_535]));
    let file = png(&DynamicImage::from(deep));
    assert_eq!(size(&file).await, Some((7, 5)));
    let (_, shown) = thumbnail(&file, ThumbnailWidth::Small).await;
    assert!(is_red(shown.get_pixel(3, 3)), "{:?}", shown.get_pixel(3, 3));
    let gray = DynamicImage::from(ImageBuffer::from_pixel(9, 3, Luma([99_u8])));
    for file in [png(&gray), jpeg(&gray)] {
        assert_eq!(size(&file).await, Some((9, 3)));
        let (_, shown) = thumbnail(&file, ThumbnailWidth::Small).await;
        let Rgba([red, green, blue, _]) = shown.get_pixel(4, 1);
        assert!([red, green, blue].iter().all(|channel| channel.abs_diff(99) < 5));
    }
}

#[tokio::test]
async fn a_jpeg_of_four_colours_is_read() {
    assert_eq!(size(&corpus::cmyk()).await, Some((8, 8)));
    let (made, shown) = thumbnail(&corpus::cmyk(), ThumbnailWidth::Small).await;
    assert_eq!((made.media_type().as_str(), shown.dimensions()), ("image/jpeg", (8, 8)));
}

#[tokio::test]
async fn what_is_turned_is_shown_upright() {
    let image = DynamicImage::from(two_halves(40, 20));
    let exif = oriented_exif(6);
    let jpeg = with_app(&jpeg(&image), &[App(0xe1, &[b"Exif\0\0", &exif[..]].concat())]);
    let png = [&png(&image)[..33], &chunk(b"eXIf", &exif), &png(&image)[33..]].concat();
    for (name, file) in [("jpeg", jpeg), ("png", png), ("webp", webp(&image, Some(&exif)))] {
        assert_eq!(size(&file).await, Some((20, 40)), "{name}");
        let (made, shown) = thumbnail(&file, ThumbnailWidth::Small).await;
        assert_eq!(shown.dimensions(), (20, 40), "{name}");
        // A quarter turn clockwise: the left comes up.
        assert!(is_red(shown.get_pixel(10, 3)) && is_blue(shown.get_pixel(10, 36)), "{name}");
        assert!(!made.as_bytes().windows(4).any(|part| part == b"Exif"), "{name}");
    }
}

#[tokio::test]
async fn a_thumbnail_is_as_wide_as_asked_and_no_wider_than_the_image() {
    let wide = png(&DynamicImage::from(two_halves(2_000, 1_000)));
    for (width, fit) in [(ThumbnailWidth::Small, (320, 160)), (ThumbnailWidth::Large, (1_280, 640))] {
        let (made, shown) = thumbnail(&wide, width).await;
        assert_eq!((made.media_type().as_str(), shown.dimensions()), ("image/jpeg", fit));
        let ((x, y), middle) = (shown.dimensions(), fit.0 / 2);
        assert!(is_red(shown.get_pixel(middle / 2, y / 2)) && is_blue(shown.get_pixel(x - middle / 2, y / 2)));
    }
    let (_, shown) = thumbnail(&png(&DynamicImage::from(two_halves(64, 500))), ThumbnailWidth::Large).await;
    assert_eq!(shown.dimensions(), (64, 500));
}

#[tokio::test]
async fn transparency_stays_and_hidden_colours_do_not_show() {
    let image =
        RgbaImage::from_fn(1_000, 400, |x, _| if x % 2 == 0 { Rgba([255, 255, 255, 255]) } else { Rgba([0, 0, 0, 0]) });
    let (made, shown) = thumbnail(&png(&DynamicImage::from(image)), ThumbnailWidth::Small).await;
    assert_eq!((made.media_type().as_str(), shown.dimensions()), ("image/webp", (320, 128)));
    let Rgba([red, _, _, alpha]) = shown.get_pixel(100, 60);
    assert!(red > 240 && (64..192).contains(&alpha), "{red} {alpha}");
}

#[tokio::test]
async fn of_an_animation_the_first_frame_counts() {
    let file = corpus::animation(&[RgbaImage::from_pixel(6, 4, Rgba([230, 0, 0, 255])), RgbaImage::new(6, 4)]);
    let (_, shown) = thumbnail(&file, ThumbnailWidth::Small).await;
    assert_eq!(shown.dimensions(), (6, 4));
    assert!(is_red(shown.get_pixel(2, 2)));
}

#[tokio::test]
async fn colours_become_those_of_srgb() {
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let image = DynamicImage::from(RgbImage::from_pixel(16, 16, Rgb([0, 200, 0])));
    let icc = [&b"ICC_PROFILE\0\x01\x01"[..], &profile].concat();
    let plain = jpeg(&image);
    let (made, shown) = thumbnail(&with_app(&plain, &[App(0xe2, &icc)]), ThumbnailWidth::Small).await;
    // The green of Display P3 is greener than sRGB has it: its red goes below nothing, and its green above.
    assert!(shown.get_pixel(8, 8)[1] >= 202, "{:?}", shown.get_pixel(8, 8));
    assert!(!made.as_bytes().windows(11).any(|part| part == b"ICC_PROFILE"));
    let broken = with_app(&plain, &[App(0xe2, b"ICC_PROFILE\0\x01\x01no profile")]);
    assert_eq!(size(&broken).await, Some((16, 16)));
}

#[tokio::test]
async fn what_a_strict_decoder_refuses_is_no_image() {
    let image = DynamicImage::from(two_halves(200, 100));
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif] {
        let whole = corpus::encoded(&image, format);
        for left in [whole.len() - 3, whole.len() / 2, 30, 4] {
            assert_eq!(size(&whole[..left]).await, None, "{format:?} {left}");
        }
    }
    let whole = jpeg(&image);
    assert_eq!(size(&[&whole[..], b"\xff\xd8 behind the end", &whole].concat()).await, Some((200, 100)));
    for other in [&b"no image at all"[..], b"", b"BM\0\0", b"<svg/>"] {
        assert_eq!(size(other).await, None);
    }
}

#[tokio::test]
async fn a_bomb_is_refused_by_its_head() {
    let mut bomb = png(&DynamicImage::from(two_halves(4, 4)));
    bomb[16..24].copy_from_slice(&[0, 0, 0x9c, 0x40, 0, 0, 0x9c, 0x40]);
    let repaired = chunk(b"IHDR", &bomb[16..29]);
    bomb[8..33].copy_from_slice(&repaired);
    assert_eq!(size(&bomb).await, None);
    // Zeros that take next to nothing as a file, of more than 40 million pixels.
    let zeros = png(&DynamicImage::from(ImageBuffer::from_pixel(40_001, 1_000, Luma([0_u8]))));
    assert_eq!(size(&zeros).await, None);
}

#[tokio::test]
async fn many_images_of_one_user_and_of_others_all_get_their_turn() {
    let (workshop, file) = workshop(&jpeg(&DynamicImage::from(two_halves(300, 300))));
    let turns = (0..12).map(|n| workshop.describe(ImageFile { for_user: UserId(Uuid::from_u128(n % 3)), ..file }));
    let found = futures_util::future::join_all(turns).await;
    assert!(found.into_iter().all(|found| found.unwrap().is_some()));
}
