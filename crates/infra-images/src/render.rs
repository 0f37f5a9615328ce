//! Makes placeholders and thumbnails of a decoded frame.

use crate::Refusal;
use crate::decode::Frame;
use domain::files::{Image, ThumbHash, Thumbnail, ThumbnailWidth};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, RgbaImage};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// The longest side of the image that a placeholder is made of.
const PLACEHOLDER_SIDE: u32 = 100;
const JPEG_QUALITY: u8 = 82;
/// Most bytes of a thumbnail with transparency. WebP without loss takes little room for drawings and much for photos.
const MAX_WEBP_BYTES: usize = 1 << 20;

/// The size, as shown.
fn shown(frame: &Frame) -> (u32, u32) {
    let (width, height) = (frame.pixels.width(), frame.pixels.height());
    if is_turned(frame) { (height, width) } else { (width, height) }
}

/// Whether width and height change places.
fn is_turned(frame: &Frame) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(frame.orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// What is known of an image.
///
/// # Errors
/// [`Refusal::Output`], which no image should cause.
pub fn describe(frame: Frame) -> Result<Image, Refusal> {
    let (width, height) = shown(&frame);
    let longest = width.max(height);
    let side = |side: u32| {
        if longest <= PLACEHOLDER_SIDE {
            return side;
        }
        let scaled = u64::from(side) * u64::from(PLACEHOLDER_SIDE) / u64::from(longest);
        u32::try_from(scaled).unwrap_or(PLACEHOLDER_SIDE).max(1)
    };
    let small = scaled(frame, side(width), side(height));
    let hash = thumbhash::rgba_to_thumb_hash(small.width() as usize, small.height() as usize, small.as_raw());
    let thumb_hash = ThumbHash::of_bytes(hash).ok_or(Refusal::Output)?;
    Ok(Image { width, height, thumb_hash })
}

/// The thumbnail of an image: a JPEG, or a WebP if it is transparent anywhere.
///
/// # Errors
/// [`Refusal`] if it cannot be encoded or is too large.
pub fn thumbnail(frame: Frame, width: ThumbnailWidth) -> Result<Thumbnail, Refusal> {
    let (wide, high) = shown(&frame);
    let (wide, high) = width.fit(wide, high);
    let mut small = scaled(frame, wide, high);
    if small.pixels().any(|pixel| pixel.0[3] < u8::MAX) {
        let mut webp = Vec::new();
        WebPEncoder::new_lossless(&mut webp).encode(small.as_raw(), wide, high, ExtendedColorType::Rgba8)?;
        if webp.len() <= MAX_WEBP_BYTES {
            return Thumbnail::of_bytes(webp).map_err(|_| Refusal::Output);
        }
        put_on_white(&mut small);
    }
    let mut jpeg = Vec::new();
    let rgb = DynamicImage::from(small).into_rgb8();
    JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY).encode(rgb.as_raw(), wide, high, ExtendedColorType::Rgb8)?;
    Thumbnail::of_bytes(jpeg).map_err(|_| Refusal::Output)
}

/// The frame in sRGB, upright, with this size as shown. Scales first, so that only a small image is turned and
/// converted.
fn scaled(frame: Frame, wide: u32, high: u32) -> RgbaImage {
    let (wide, high) = if is_turned(&frame) { (high, wide) } else { (wide, high) };
    let Frame { mut pixels, orientation, profile } = frame;
    let is_transparent = pixels.color().has_alpha();
    if let DynamicImage::ImageRgba8(image) = &mut pixels {
        // Else the colour of invisible pixels would run into their neighbours.
        image.pixels_mut().for_each(|pixel| weigh(&mut pixel.0));
    }
    let weighed = matches!(pixels, DynamicImage::ImageRgba8(_));
    let mut small =
        if (pixels.width(), pixels.height()) == (wide, high) { pixels } else { pixels.thumbnail_exact(wide, high) };
    small.apply_orientation(orientation);
    let is_gray = !small.color().has_color();
    let mut small = small.into_rgba8();
    if weighed && is_transparent {
        small.pixels_mut().for_each(|pixel| unweigh(&mut pixel.0));
    }
    if let Some(profile) = profile {
        small = to_srgb(small, &profile, is_gray);
    }
    small
}

/// Multiplies the colour by the opacity.
fn weigh([colour @ .., alpha]: &mut [u8; 4]) {
    for channel in colour {
        *channel = mean(u32::from(*channel) * u32::from(*alpha), 255);
    }
}

/// Divides the colour by the opacity.
fn unweigh([colour @ .., alpha]: &mut [u8; 4]) {
    for channel in colour {
        *channel = if *alpha == 0 { 0 } else { mean(u32::from(*channel) * 255, u32::from(*alpha)) };
    }
}

fn mean(sum: u32, of: u32) -> u8 {
    u8::try_from((sum + of / 2) / of).unwrap_or(u8::MAX)
}

/// The same image in sRGB. A profile that cannot be used, or that is not of the colours that the pixels have, counts as
/// sRGB.
fn to_srgb(image: RgbaImage, profile: &[u8], is_gray: bool) -> RgbaImage {
    let Ok(profile) = ColorProfile::new_from_slice(profile) else { return image };
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    let mut converted = RgbaImage::new(image.width(), image.height());
    let done = match profile.color_space {
        DataColorSpace::Rgb => profile
            .create_transform_8bit(Layout::Rgba, &srgb, Layout::Rgba, options)
            .and_then(|transform| transform.transform(image.as_raw(), &mut converted)),
        DataColorSpace::Gray if is_gray => {
            let gray: Vec<u8> = image.pixels().flat_map(|pixel| [pixel.0[0], pixel.0[3]]).collect();
            profile
                .create_transform_8bit(Layout::GrayAlpha, &srgb, Layout::Rgba, options)
                .and_then(|transform| transform.transform(&gray, &mut converted))
        }
        _ => return image,
    };
    if done.is_ok() { converted } else { image }
}

fn put_on_white(image: &mut RgbaImage) {
    for pixel in image.pixels_mut() {
        weigh(&mut pixel.0);
        let [colour @ .., alpha] = &mut pixel.0;
        for channel in colour {
            *channel = channel.saturating_add(u8::MAX - *alpha);
        }
        *alpha = u8::MAX;
    }
}
