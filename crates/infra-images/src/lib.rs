//! The image port: reads sizes, makes placeholders and thumbnails of png, jpeg, webp and gif.
//!
//! The bytes come from strangers, and decoders have faults. So each image has a thread of its own, whose panic ends
//! that thread alone; [`Workshop`] bounds how many there are, and `budget` what one of them may take.

mod budget;
mod decode;
mod jpeg;
mod render;
mod workshop;

pub use workshop::Workshop;

/// Why there is no image. The caller learns only that there is none; the log says why.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("it is none of the formats that the server decodes")]
    OtherFormat,
    #[error("it has {0} x {1} pixels, which are too many or none")]
    Pixels(u32, u32),
    #[error("it needs too much memory")]
    Memory,
    #[error("it takes too long")]
    Time,
    #[error("the file is incomplete")]
    Incomplete,
    #[error(transparent)]
    Image(#[from] image::ImageError),
    #[error("{0}")]
    Jpeg(#[from] zune_jpeg::errors::DecodeErrors),
    #[error("its placeholder or thumbnail is too large")]
    Output,
}
