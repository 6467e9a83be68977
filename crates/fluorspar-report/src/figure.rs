//! Figures from plain arrays, each an SVG string.

mod bars;
mod canvas;
mod colour;
mod curves;
mod heat;
mod heatmap;
mod image;
mod learning;
mod matrix;
mod plane;
mod presence;
mod raster;
mod strip;
mod traces;
mod trial;

use crate::Error;

pub use self::bars::{Arrangement, BarsPlot, Floor, Part, bars};
pub use self::colour::{PALETTE, Rgb, Scale};
pub use self::curves::{Curve, CurvesPlot, curves};
pub use self::heat::heat;
pub use self::heatmap::{HeatmapPanel, HeatmapPlot, heatmap};
pub use self::image::{Segment, image, image_of_probabilities, outline};
pub use self::learning::{Learning, learning};
pub use self::matrix::{Mark, MatrixPlot, matrix};
pub use self::presence::presence;
pub use self::strip::{Strip, StripPlot, Trend, strip};
pub use self::traces::traces;
pub use self::trial::{Moment, Span, trial};

/// One drawn figure.
#[derive(Clone, Debug)]
pub struct Figure {
    title: String,
    caption: String,
    svg: String,
}

impl Figure {
    /// Sets the line above the figure.
    #[must_use]
    pub fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Sets the text below the figure.
    #[must_use]
    pub fn captioned(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }

    /// The line above the figure.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The text below the figure.
    pub fn caption(&self) -> &str {
        &self.caption
    }

    /// The drawing, an SVG element.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    fn new(svg: String) -> Self {
        // The page is HTML: an XML declaration has no place in its middle.
        let start = svg.find("<svg").unwrap_or(0);
        Self {
            title: String::new(),
            caption: String::new(),
            svg: svg[start..].to_owned(),
        }
    }
}

pub(crate) fn drawing(figure: &'static str) -> impl Fn(&dyn std::fmt::Display) -> Error {
    move |reason| Error::Drawing {
        figure,
        reason: reason.to_string(),
    }
}

/// The value below which a share `q` of the finite values lies.
pub(crate) fn quantile(mut values: Vec<f32>, q: f64) -> f32 {
    values.retain(|v| v.is_finite());
    if values.is_empty() {
        return 0.0;
    }
    values.sort_by(f32::total_cmp);
    values[((values.len() - 1) as f64 * q).round() as usize]
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
