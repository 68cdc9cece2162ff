//! From a figure to SVG, PNG, a file or the notebook.

use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use super::geometry::Rect;
use super::{Figure, canvas, font, frame, png};
use crate::{Error, Result};

/// Pixels of the image for each CSS pixel.
const SCALE: u32 = 2;

impl Figure {
    /// The figure as a PNG image with two pixels for each CSS pixel in each direction.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] for the first mistake made in building the figure, such as `x` and `y` of
    /// different lengths.
    ///
    /// ```
    /// use llm_course::plot::Figure;
    ///
    /// let wrong = Figure::lines("Two of three").line("train", [0, 1, 2], [4.7, 2.1]);
    /// let message = wrong.png().unwrap_err().to_string();
    /// assert_eq!(message, "\"train\" has 3 x values but 2 y values: give as many of one as of the other");
    /// ```
    pub fn png(&self) -> Result<Vec<u8>> {
        let svg = self.svg()?;
        let (width, height) = self.measured(None);
        let unreadable = |what: &str| Error::input(format!("the figure \"{}\" {what}", self.title));
        let options = Options { fontdb: font::database(), ..Options::default() };
        let tree =
            Tree::from_str(&svg, &options).map_err(|e| unreadable(&format!("became no image: {e}")))?;
        let mut pixels = Pixmap::new(SCALE * width, SCALE * height).ok_or_else(|| {
            unreadable(&format!("is too large: {width} × {height} pixels; make it smaller"))
        })?;
        let scale = SCALE as f32;
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
        png::encode(&pixels).map_err(|e| unreadable(&format!("became no PNG: {e}")))
    }

    /// The figure as an SVG document, which names the font "DejaVu Sans".
    ///
    /// # Errors
    ///
    /// As [`Figure::png`].
    pub fn svg(&self) -> Result<String> {
        if let Some(mistake) = &self.mistake {
            return Err(Error::input(mistake));
        }
        let (width, height) = self.measured(None);
        let area = Rect::new(0.0, 0.0, width.into(), height.into());
        let title = frame::title_height(self, area.width);
        Ok(canvas::svg(width, height, |canvas| self.draw(canvas, area, title)))
    }

    /// Writes the figure to a `.png` or `.svg` file.
    ///
    /// # Errors
    ///
    /// As [`Figure::png`]; [`Error::Input`] for another extension, [`Error::File`] if the file cannot
    /// be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let bytes = match extension.as_str() {
            "png" => self.png()?,
            "svg" => self.svg()?.into_bytes(),
            _ => {
                let path = path.display();
                return Err(Error::input(format!(
                    "{path}: a figure is saved as .png or .svg; name the file so"
                )));
            }
        };
        std::fs::write(path, bytes)
            .map_err(|e| Error::file(path, e, "check that the folder exists and can be written"))
    }

    /// Shows the figure under the cell.
    ///
    /// Lessons end a cell with `.show();` rather than with the figure itself: where an expression that ends
    /// a cell moves a variable, the kernel prints its `Debug` form instead of the picture.
    pub fn show(&self) {
        self.evcxr_display();
    }

    /// The kernel calls this for a figure that ends a cell. A mistake in the figure is printed to the standard
    /// error instead.
    pub fn evcxr_display(&self) {
        match self.png() {
            Ok(png) => println!("{}", notebook_image(&png)),
            Err(error) => eprintln!("no figure: {error}"),
        }
    }
}

/// A PNG image as the kernel reads it from the standard output.
fn notebook_image(png: &[u8]) -> String {
    format!("EVCXR_BEGIN_CONTENT image/png\n{}\nEVCXR_END_CONTENT", BASE64_STANDARD.encode(png))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_gets_one_png_between_its_marks() {
        let png = Figure::lines("Loss").line("train", 0..3, [3, 2, 1]).png().unwrap();
        let message = notebook_image(&png);
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!((lines.len(), lines[0]), (3, "EVCXR_BEGIN_CONTENT image/png"));
        assert_eq!(BASE64_STANDARD.decode(lines[1]).unwrap(), png);
        assert_eq!(lines[2], "EVCXR_END_CONTENT");
    }
}
