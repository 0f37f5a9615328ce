//! Draws the demo's pictures as PNGs, so that the demo ships no binary files.

/// In pixels.
const WIDTH: usize = 400;
const HEIGHT: usize = 260;

/// Red, green, blue.
type Colour = [u8; 3];

/// A picture of at most 256 colours. The first 128 are its background, from top to bottom.
struct Canvas {
    colours: Vec<Colour>,
    pixels: Vec<u8>,
}

/// How many colours a background has.
const SHADES: usize = 128;

impl Canvas {
    /// A sky that fades from one colour into the other.
    fn fading(top: Colour, bottom: Colour) -> Self {
        let mix = |from: u8, to: u8, step: usize| {
            let (from, to) = (usize::from(from), usize::from(to));
            u8::try_from((from * (SHADES - 1 - step) + to * step) / (SHADES - 1)).unwrap_or(u8::MAX)
        };
        let shade = |step| [0, 1, 2].map(|part| mix(top[part], bottom[part], step));
        let row = |y: usize| u8::try_from(y * (SHADES - 1) / (HEIGHT - 1)).unwrap_or(0);
        let pixels = (0..HEIGHT).flat_map(|y| std::iter::repeat_n(row(y), WIDTH)).collect();
        Self { colours: (0..SHADES).map(shade).collect(), pixels }
    }

    /// Fills an ellipse around a point.
    fn ellipse(&mut self, (x, y): (i64, i64), (across, down): (i64, i64), colour: Colour) {
        self.fill(colour, |px, py| {
            let (dx, dy) = (px - x, py - y);
            dx * dx * down * down + dy * dy * across * across <= across * across * down * down
        });
    }

    /// Fills a rectangle from a corner.
    fn bar(&mut self, (x, y): (i64, i64), (across, down): (i64, i64), colour: Colour) {
        self.fill(colour, |px, py| (x..x + across).contains(&px) && (y..y + down).contains(&py));
    }

    fn fill(&mut self, colour: Colour, is_in: impl Fn(i64, i64) -> bool) {
        let Ok(index) = u8::try_from(self.colours.len()) else { return };
        self.colours.push(colour);
        for (place, pixel) in self.pixels.iter_mut().enumerate() {
            if is_in((place % WIDTH) as i64, (place / WIDTH) as i64) {
                *pixel = index;
            }
        }
    }

    /// The picture as a file.
    fn png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, WIDTH as u32, HEIGHT as u32);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(self.colours.concat());
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        Ok(file)
    }
}

const WHITE: Colour = [250, 250, 245];
const GREEN: Colour = [70, 120, 60];
const YELLOW: Colour = [250, 205, 70];
const BLACK: Colour = [40, 35, 35];

/// The picture with that name, as a PNG; a plain sky for an unknown name.
///
/// # Errors
/// None is expected from the encoder.
pub fn png(name: &str) -> Result<Vec<u8>, png::EncodingError> {
    let canvas = match name {
        "hail.png" => hail(),
        "flower.png" => flower(),
        "poster.png" => poster(),
        "bee.png" => bee(),
        "garden.png" => garden(),
        _ => Canvas::fading([90, 150, 220], [235, 240, 250]),
    };
    canvas.png()
}

fn hail() -> Canvas {
    let mut canvas = Canvas::fading([60, 70, 85], [95, 105, 90]);
    for n in 0..24 {
        let size = 5 + n * 7 % 9;
        canvas.ellipse(((n * 97 + 30) % 400, 60 + (n * 61) % 190), (size, size - 1), WHITE);
    }
    canvas.ellipse((250, 150), (34, 31), [225, 235, 240]);
    canvas
}

fn flower() -> Canvas {
    let mut canvas = Canvas::fading([250, 240, 220], [215, 190, 160]);
    canvas.bar((196, 120), (8, 90), GREEN);
    canvas.bar((150, 205), (100, 50), [180, 95, 60]);
    for (x, y) in [(200, 62), (242, 92), (226, 140), (174, 140), (158, 92)] {
        canvas.ellipse((x, y), (30, 30), [220, 90, 130]);
    }
    canvas.ellipse((200, 105), (24, 24), YELLOW);
    canvas
}

fn poster() -> Canvas {
    let mut canvas = Canvas::fading([60, 20, 80], [230, 90, 60]);
    canvas.ellipse((200, 120), (78, 78), YELLOW);
    canvas.ellipse((170, 150), (20, 15), BLACK);
    canvas.bar((184, 80), (6, 70), BLACK);
    canvas.ellipse((240, 140), (20, 15), BLACK);
    canvas.bar((254, 70), (6, 70), BLACK);
    canvas.bar((184, 72), (76, 14), BLACK);
    canvas
}

fn bee() -> Canvas {
    let mut canvas = Canvas::fading([190, 225, 250], [240, 250, 240]);
    canvas.ellipse((180, 85), (40, 52), WHITE);
    canvas.ellipse((240, 90), (34, 46), [240, 245, 250]);
    canvas.ellipse((205, 150), (95, 58), YELLOW);
    for x in [160, 200, 240] {
        canvas.bar((x, 104), (16, 92), BLACK);
    }
    canvas.ellipse((112, 140), (34, 32), BLACK);
    canvas.ellipse((102, 134), (8, 8), WHITE);
    canvas
}

fn garden() -> Canvas {
    let mut canvas = Canvas::fading([250, 160, 90], [255, 225, 170]);
    canvas.ellipse((300, 165), (46, 46), [255, 240, 200]);
    canvas.ellipse((80, 250), (200, 80), GREEN);
    canvas.ellipse((330, 262), (200, 72), [90, 140, 70]);
    for n in 0..9 {
        canvas.bar((22 + n * 44, 196), (2, 40), BLACK);
        canvas.ellipse((23 + n * 44, 196), (8, 10), YELLOW);
    }
    canvas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_png_of_its_own() {
        let names = ["hail.png", "flower.png", "poster.png", "bee.png", "garden.png", "other.png"];
        let files: std::collections::HashSet<_> = names.into_iter().map(|name| png(name).unwrap()).collect();
        assert_eq!(files.len(), names.len());
        assert!(files.iter().all(|file| file.starts_with(b"\x89PNG") && file.len() < 200_000));
    }
}
