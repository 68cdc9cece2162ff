//! Several figures in one image.

use super::canvas::Canvas;
use super::frame;
use super::geometry::Rect;
use super::{Figure, Kind};

#[derive(Clone, Debug)]
pub(super) struct Grid {
    columns: usize,
    panels: Vec<Figure>,
}

/// The width that panels without a size share, in CSS pixels.
const SHARED: u32 = 960;

/// Puts figures side by side in one image; a panel with a size keeps it, others share the width.
///
/// A notebook cell shows one image only, so this is how it shows two. [`Figure::title`] gives the
/// whole a title.
///
/// ```
/// use llm_course::plot::{self, Figure};
///
/// let loss = Figure::lines("Loss").line("train", 0..3, [3.0, 2.0, 1.5]);
/// let accuracy = Figure::lines("Accuracy").line("train", 0..3, [0.1, 0.5, 0.6]);
/// let figure = plot::row([loss, accuracy]).title("Half an epoch is enough");
/// # assert!(figure.png().is_ok());
/// ```
pub fn row(panels: impl IntoIterator<Item = Figure>) -> Figure {
    let panels: Vec<Figure> = panels.into_iter().collect();
    grid(panels.len().max(1), panels)
}

/// Puts figures into rows of `columns` panels, from left to right and top to bottom.
///
/// ```
/// use llm_course::plot::{self, Figure};
///
/// let heads = (0..4).map(|head| Figure::heatmap(format!("head {head}"), [[1.0, 0.0], [0.3, 0.7]]));
/// # assert!(plot::grid(2, heads).png().is_ok());
/// ```
pub fn grid(columns: usize, panels: impl IntoIterator<Item = Figure>) -> Figure {
    let panels: Vec<Figure> = panels.into_iter().collect();
    let mistake = if columns == 0 {
        Some("a grid of 0 columns: give at least 1".to_owned())
    } else if panels.is_empty() {
        Some("a row or grid without figures: give at least one".to_owned())
    } else {
        panels.iter().find_map(|panel| panel.mistake.clone())
    };
    let mut figure = Figure::new("", Kind::Grid(Grid { columns: columns.max(1), panels }));
    figure.mistake = mistake;
    figure
}

impl Grid {
    fn sizes(&self) -> Vec<(u32, u32)> {
        let share = (SHARED / self.columns.min(self.panels.len()).max(1) as u32).max(240);
        self.panels.iter().map(|panel| panel.measured(Some(share))).collect()
    }

    /// The width of each column and the height of each row.
    fn tracks(&self) -> (Vec<u32>, Vec<u32>) {
        let sizes = self.sizes();
        let columns = self.columns.min(sizes.len()).max(1);
        let mut widths = vec![0; columns];
        for row in sizes.chunks(columns) {
            row.iter().zip(&mut widths).for_each(|(size, width)| *width = size.0.max(*width));
        }
        let heights = sizes.chunks(columns).map(|row| row.iter().map(|s| s.1).max().unwrap_or(0));
        (widths, heights.collect())
    }

    pub fn measured(&self, figure: &Figure) -> (u32, u32) {
        let (widths, heights) = self.tracks();
        let width: u32 = widths.iter().sum::<u32>().max(120);
        let outside = frame::title_height(figure, width.into());
        (width, (heights.iter().sum::<u32>() + outside.ceil() as u32).max(120))
    }

    pub fn draw(&self, canvas: &mut Canvas, body: Rect) {
        let (widths, heights) = self.tracks();
        // The panels bring their own margins.
        let (mut top, left) = (body.top - frame::MARGIN, body.left - frame::MARGIN);
        for (row, height) in self.panels.chunks(widths.len()).zip(heights) {
            let titles = row.iter().zip(&widths).map(|(p, width)| frame::title_height(p, f64::from(*width)));
            // Plots of a row begin at the same height, whatever their titles take.
            let title_height = titles.fold(0.0, f64::max);
            let mut x = left;
            for (panel, width) in row.iter().zip(&widths) {
                let area = Rect::new(x, top, f64::from(*width), f64::from(height));
                panel.draw(canvas, area, title_height);
                x += f64::from(*width);
            }
            top += f64::from(height);
        }
    }
}
