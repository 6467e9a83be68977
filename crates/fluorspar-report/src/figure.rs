//! Figures from plain arrays, each an SVG string.

mod heat;

use std::fmt::Write as _;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ndarray::{ArrayView1, ArrayView2};
use plotters::prelude::*;

use crate::Error;

pub use self::heat::heat;

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

/// A colour, red, green, blue.
pub type Rgb = (u8, u8, u8);

/// Colours that stay apart for colour-blind readers (Okabe and Ito 2008).
pub const PALETTE: [Rgb; 7] = [
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
    (80, 80, 80),
];

fn colour(index: usize) -> RGBColor {
    let (r, g, b) = PALETTE[index % PALETTE.len()];
    RGBColor(r, g, b)
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

/// An image `(y, x)` in grey, its 1st to 99.7th percentile stretched, with
/// outlines drawn over it in changing colours.
///
/// Each outline is a list of line segments `((y, x), (y, x))` on pixel
/// corners, as [`outline`] makes them.
///
/// # Errors
/// [`Error::Shape`] for an image without pixels, [`Error::Drawing`] if it
/// cannot be encoded.
pub fn image(pixels: ArrayView2<'_, f32>, outlines: &[Vec<Segment>]) -> Result<Figure, Error> {
    let coloured = outlines
        .iter()
        .enumerate()
        .map(|(index, segments)| (segments.as_slice(), PALETTE[index % 6]));
    overlay(pixels, coloured)
}

/// Like [`image`], each outline in a colour that says how probable something
/// is: red at 0, yellow at ½, green at 1.
///
/// # Errors
/// As [`image`].
pub fn image_of_probabilities(
    pixels: ArrayView2<'_, f32>,
    outlines: &[(Vec<Segment>, f32)],
) -> Result<Figure, Error> {
    let coloured = outlines.iter().map(|(segments, probability)| {
        let p = probability.clamp(0.0, 1.0);
        let share = |v: f32| (v.clamp(0.0, 1.0) * 230.0).round() as u8;
        let colour = (share(2.0 - 2.0 * p), share(2.0 * p), 60);
        (segments.as_slice(), colour)
    });
    overlay(pixels, coloured)
}

fn overlay<'a>(
    pixels: ArrayView2<'_, f32>,
    outlines: impl Iterator<Item = (&'a [Segment], (u8, u8, u8))>,
) -> Result<Figure, Error> {
    const NAME: &str = "image";
    let (height, width) = pixels.dim();
    if height == 0 || width == 0 {
        return Err(Error::Shape {
            figure: NAME,
            reason: "the image has no pixels".into(),
        });
    }
    let low = quantile(pixels.iter().copied().collect(), 0.01);
    let high = quantile(pixels.iter().copied().collect(), 0.997);
    let range = if high > low { high - low } else { 1.0 };
    let grey: Vec<u8> = pixels
        .iter()
        .map(|&v| (((v - low) / range).clamp(0.0, 1.0) * 255.0).round() as u8)
        .collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&grey))
        .map_err(|e| drawing(NAME)(&e))?;
    let scale = (360.0 / width as f64).clamp(0.5, 4.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{:.0}\" height=\"{:.0}\"><image width=\"{width}\" height=\"{height}\" \
         style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/>",
        width as f64 * scale,
        height as f64 * scale,
        STANDARD.encode(&bytes)
    );
    for (segments, (r, g, b)) in outlines {
        let mut path = String::new();
        for &((y0, x0), (y1, x1)) in segments {
            // Writing to a String does not fail.
            let _ = write!(path, "M{x0} {y0}L{x1} {y1}");
        }
        let _ = write!(
            svg,
            "<path d=\"{path}\" fill=\"none\" stroke=\"rgb({r},{g},{b})\" \
             stroke-width=\"{:.2}\" stroke-linecap=\"round\"/>",
            (1.3 / scale).max(0.3)
        );
    }
    svg.push_str("</svg>");
    Ok(Figure::new(svg))
}

/// A straight piece of an outline, `((y, x), (y, x))` in pixel corners.
pub type Segment = ((usize, usize), (usize, usize));

/// The border between the pixels of `indices` (flat `y · width + x`,
/// ascending) and all others.
pub fn outline(indices: &[u32], width: usize) -> Vec<Segment> {
    let inside = |y: isize, x: isize| {
        y >= 0
            && x >= 0
            && (x as usize) < width
            && u32::try_from(y as usize * width + x as usize)
                .is_ok_and(|index| indices.binary_search(&index).is_ok())
    };
    let mut segments = Vec::new();
    for &index in indices {
        let (y, x) = (index as usize / width.max(1), index as usize % width.max(1));
        let (sy, sx) = (y as isize, x as isize);
        for (outside, segment) in [
            (!inside(sy - 1, sx), ((y, x), (y, x + 1))),
            (!inside(sy + 1, sx), ((y + 1, x), (y + 1, x + 1))),
            (!inside(sy, sx - 1), ((y, x), (y + 1, x))),
            (!inside(sy, sx + 1), ((y, x + 1), (y + 1, x + 1))),
        ] {
            if outside {
                segments.push(segment);
            }
        }
    }
    segments
}

/// Traces `(row, frame)` one above the other against time; each row spans
/// its own range. `marks` (for example events) are drawn as ticks below a
/// row where they are positive, same shape.
///
/// # Errors
/// [`Error::Shape`] if `marks` has another shape or there is nothing to draw.
pub fn traces(
    values: ArrayView2<'_, f32>,
    marks: Option<ArrayView2<'_, f32>>,
    frame_rate: f64,
    names: &[String],
) -> Result<Figure, Error> {
    const NAME: &str = "traces";
    let (rows, frames) = values.dim();
    if rows == 0 || frames < 2 || marks.is_some_and(|m| m.dim() != (rows, frames)) {
        return Err(Error::Shape {
            figure: NAME,
            reason: format!("{rows} rows of {frames} frames, marks of another shape, or nothing"),
        });
    }
    let error = drawing(NAME);
    let mut svg = String::new();
    {
        let size = (1000, 44 * rows as u32 + 50);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let seconds = frames as f64 / frame_rate;
        let mut chart = ChartBuilder::on(&root)
            .margin(6)
            .x_label_area_size(34)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..seconds, -(rows as f64)..0.1)
            .map_err(|e| error(&e))?;
        chart
            .configure_mesh()
            .disable_mesh()
            .y_labels(0)
            .x_desc("time (s)")
            .draw()
            .map_err(|e| error(&e))?;
        for row in 0..rows {
            let line = values.row(row);
            let low = f64::from(quantile(line.to_vec(), 0.02));
            let high = f64::from(quantile(line.to_vec(), 0.999));
            let range = if high > low { high - low } else { 1.0 };
            let base = -(row as f64) - 0.85;
            let points = thin(line, frames).map(|(frame, value)| {
                let height = ((f64::from(value) - low) / range).clamp(-0.1, 1.05) * 0.75;
                (frame as f64 / frame_rate, base + height)
            });
            chart
                .draw_series(LineSeries::new(points, colour(row).stroke_width(1)))
                .map_err(|e| error(&e))?;
            if let Some(marks) = marks {
                let marked = marks.row(row);
                let strong = quantile(marked.iter().copied().filter(|&m| m > 0.0).collect(), 0.5);
                let ticks = marked
                    .iter()
                    .enumerate()
                    .filter(|&(_, &mark)| mark > 0.0 && mark >= strong)
                    .map(|(frame, _)| {
                        let at = frame as f64 / frame_rate;
                        PathElement::new(vec![(at, base - 0.12), (at, base - 0.02)], BLACK.mix(0.7))
                    });
                chart.draw_series(ticks).map_err(|e| error(&e))?;
            }
            if let Some(name) = names.get(row) {
                root.draw(&Text::new(
                    name.clone(),
                    (6, 20 + 43 * row as i32),
                    ("sans-serif", 12).into_font(),
                ))
                .map_err(|e| error(&e))?;
            }
        }
        root.present().map_err(|e| error(&e))?;
    }
    Ok(Figure::new(svg))
}

/// At most about 2,000 points of a line: minimum and maximum of each stretch.
fn thin(line: ArrayView1<'_, f32>, frames: usize) -> impl Iterator<Item = (usize, f32)> {
    let stretch = frames.div_ceil(1000).max(1);
    let line = line.to_vec();
    (0..frames.div_ceil(stretch)).flat_map(move |index| {
        let start = index * stretch;
        let part = &line[start..(start + stretch).min(line.len())];
        let mut low = (start, f32::INFINITY);
        let mut high = (start, f32::NEG_INFINITY);
        for (offset, &value) in part.iter().enumerate() {
            if value < low.1 {
                low = (start + offset, value);
            }
            if value > high.1 {
                high = (start + offset, value);
            }
        }
        let mut pair = vec![low, high];
        pair.sort_by_key(|&(frame, _)| frame);
        pair.dedup();
        pair.retain(|(_, value)| value.is_finite());
        pair
    })
}

/// One line of a [`curves`] plot.
#[derive(Clone, Debug, Default)]
pub struct Curve {
    name: String,
    x: Vec<f64>,
    y: Vec<f64>,
    interval: Option<(Vec<f64>, Vec<f64>)>,
    style: Style,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Style {
    #[default]
    LineAndPoints,
    Line,
    Points,
    Reference,
}

impl Curve {
    /// A line through points.
    pub fn new(name: impl Into<String>, x: Vec<f64>, y: Vec<f64>) -> Self {
        Self {
            name: name.into(),
            x,
            y,
            ..Self::default()
        }
    }

    /// Adds a bar from `low` to `high` at every point.
    #[must_use]
    pub fn with_interval(mut self, low: Vec<f64>, high: Vec<f64>) -> Self {
        self.interval = Some((low, high));
        self
    }

    /// Draws points without a line.
    #[must_use]
    pub fn as_points(mut self) -> Self {
        self.style = Style::Points;
        self
    }

    /// Draws the line alone, for long series.
    #[must_use]
    pub fn without_points(mut self) -> Self {
        self.style = Style::Line;
        self
    }

    /// Draws a thin grey line: a floor, a ceiling, chance.
    #[must_use]
    pub fn as_reference(mut self) -> Self {
        self.style = Style::Reference;
        self
    }
}

/// Axes of a [`curves`] plot.
#[derive(Clone, Debug)]
pub struct CurvesPlot<'a> {
    /// Text under the x axis.
    pub x_label: &'a str,
    /// Text beside the y axis.
    pub y_label: &'a str,
    /// Fixed range of y; taken from the data if absent.
    pub y_range: Option<Range<f64>>,
    /// Width and height in pixels.
    pub size: (u32, u32),
}

impl Default for CurvesPlot<'_> {
    fn default() -> Self {
        Self {
            x_label: "",
            y_label: "",
            y_range: None,
            size: (480, 320),
        }
    }
}

/// Curves over a common axis, with intervals. Points that are not finite are left out.
///
/// # Errors
/// [`Error::Shape`] if a curve's arrays differ in length.
pub fn curves(plot: &CurvesPlot<'_>, curves: &[Curve]) -> Result<Figure, Error> {
    const NAME: &str = "curves";
    let error = drawing(NAME);
    for curve in curves {
        let n = curve.x.len();
        let fits = curve
            .interval
            .as_ref()
            .is_none_or(|(low, high)| low.len() == n && high.len() == n);
        if curve.y.len() != n || !fits {
            return Err(Error::Shape {
                figure: NAME,
                reason: format!("the arrays of {:?} differ in length", curve.name),
            });
        }
    }
    let finite = |values: &mut dyn Iterator<Item = f64>| {
        values
            .filter(|v| v.is_finite())
            .fold(None, |range: Option<(f64, f64)>, v| {
                Some(range.map_or((v, v), |(low, high)| (low.min(v), high.max(v))))
            })
            .unwrap_or((0.0, 1.0))
    };
    let (x_low, x_high) = finite(&mut curves.iter().flat_map(|c| c.x.iter().copied()));
    let pad = |low: f64, high: f64| {
        let margin = if high > low { 0.06 * (high - low) } else { 0.5 };
        low - margin..high + margin
    };
    let y_range = plot.y_range.clone().unwrap_or_else(|| {
        let (low, high) = finite(&mut curves.iter().flat_map(|c| {
            let ends = c.interval.iter().flat_map(|(l, h)| l.iter().chain(h));
            c.y.iter().chain(ends).copied()
        }));
        pad(low, high)
    });
    let middle = (0.5 * (x_low + x_high), 0.5 * (y_range.start + y_range.end));
    let corner = emptiest_corner(curves, middle);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, plot.size).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(48)
            .build_cartesian_2d(pad(x_low, x_high), y_range)
            .map_err(|e| error(&e))?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.08))
            .x_desc(plot.x_label)
            .y_desc(plot.y_label)
            .draw()
            .map_err(|e| error(&e))?;
        for (index, curve) in curves.iter().enumerate() {
            let ink = if curve.style == Style::Reference {
                RGBColor(140, 140, 140)
            } else {
                colour(index)
            };
            let points: Vec<(f64, f64)> = curve
                .x
                .iter()
                .zip(&curve.y)
                .filter(|(x, y)| x.is_finite() && y.is_finite())
                .map(|(&x, &y)| (x, y))
                .collect();
            if curve.style != Style::Points {
                let width = if curve.style == Style::Reference {
                    1
                } else {
                    2
                };
                let series = LineSeries::new(points.iter().copied(), ink.stroke_width(width));
                let drawn = chart.draw_series(series).map_err(|e| error(&e))?;
                if !curve.name.is_empty() {
                    drawn.label(curve.name.clone()).legend(move |(x, y)| {
                        PathElement::new(vec![(x, y), (x + 14, y)], ink.stroke_width(2))
                    });
                }
            }
            if matches!(curve.style, Style::Points | Style::LineAndPoints) {
                let dots = points.iter().map(|&at| Circle::new(at, 3, ink.filled()));
                let drawn = chart.draw_series(dots).map_err(|e| error(&e))?;
                if curve.style == Style::Points && !curve.name.is_empty() {
                    drawn
                        .label(curve.name.clone())
                        .legend(move |(x, y)| Circle::new((x + 7, y), 3, ink.filled()));
                }
            }
            if let Some((low, high)) = &curve.interval {
                let bars = curve
                    .x
                    .iter()
                    .zip(low.iter().zip(high))
                    .filter(|(_, (low, high))| low.is_finite() && high.is_finite())
                    .map(|(&x, (&low, &high))| {
                        PathElement::new(vec![(x, low), (x, high)], ink.stroke_width(1))
                    });
                chart.draw_series(bars).map_err(|e| error(&e))?;
            }
        }
        if curves.iter().any(|curve| !curve.name.is_empty()) {
            chart
                .configure_series_labels()
                .position(corner)
                .background_style(WHITE.mix(0.85))
                .border_style(TRANSPARENT)
                .label_font(("sans-serif", 12))
                .draw()
                .map_err(|e| error(&e))?;
        }
        root.present().map_err(|e| error(&e))?;
    }
    Ok(Figure::new(svg))
}

/// The quarter of a plot with the fewest points, where names hide least; of
/// equals the lower left one.
fn emptiest_corner(curves: &[Curve], middle: (f64, f64)) -> SeriesLabelPosition {
    let mut counts = [0_usize; 4];
    for curve in curves {
        for (&x, &y) in curve.x.iter().zip(&curve.y) {
            if x.is_finite() && y.is_finite() {
                counts[usize::from(x > middle.0) + 2 * usize::from(y > middle.1)] += 1;
            }
        }
    }
    let emptiest = (0..4).min_by_key(|&corner| counts[corner]);
    match emptiest {
        Some(1) => SeriesLabelPosition::LowerRight,
        Some(2) => SeriesLabelPosition::UpperLeft,
        Some(3) => SeriesLabelPosition::UpperRight,
        _ => SeriesLabelPosition::LowerLeft,
    }
}

/// A matrix of values with the numbers written in its cells; NaN cells stay
/// grey. `range` is what the colour scale spans, dark to bright.
///
/// # Errors
/// [`Error::Shape`] for an empty matrix or labels that do not fit.
pub fn matrix(
    values: ArrayView2<'_, f64>,
    labels: &[String],
    range: Range<f64>,
    axes: (&str, &str),
) -> Result<Figure, Error> {
    const NAME: &str = "matrix";
    let (rows, columns) = values.dim();
    if rows == 0 || columns == 0 || labels.len() != columns || labels.len() != rows {
        return Err(Error::Shape {
            figure: NAME,
            reason: format!("{rows} × {columns} values with {} labels", labels.len()),
        });
    }
    let side = (300 / columns).clamp(14, 40);
    let (left, top) = (56, 8);
    let (width, height) = (left + columns * side + 8, top + rows * side + 44);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">"
    );
    for ((row, column), &value) in values.indexed_iter() {
        let (x, y) = (left + column * side, top + row * side);
        let share = ((value - range.start) / (range.end - range.start)).clamp(0.0, 1.0);
        let (r, g, b) = if value.is_finite() {
            viridis_like(share)
        } else {
            (225, 225, 225)
        };
        // Writing to a String does not fail.
        let _ = write!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" fill=\"rgb({r},{g},{b})\"/>"
        );
        if value.is_finite() && side >= 26 {
            let ink = if share > 0.6 { "#111" } else { "#fff" };
            // Counts are whole, shares are not.
            let digits = if range.end > 1.0 { 0 } else { 2 };
            let _ = write!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"{ink}\">{value:.digits$}</text>",
                x + side / 2,
                y + side / 2 + 4
            );
        }
    }
    for (index, label) in labels.iter().enumerate() {
        let text = escape(label);
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{text}</text>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{text}</text>",
            left + index * side + side / 2,
            top + rows * side + 14,
            left - 5,
            top + index * side + side / 2 + 4
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">{}</text>\
         <text transform=\"translate(12 {}) rotate(-90)\" text-anchor=\"middle\" fill=\"#555\">{}</text></svg>",
        left + columns * side / 2,
        top + rows * side + 34,
        escape(axes.1),
        top + rows * side / 2,
        escape(axes.0),
    );
    Ok(Figure::new(svg))
}

/// Which cell (row) was seen in which session (column): filled where
/// `probability` is positive, darker the surer the match; negative is absent.
///
/// # Errors
/// [`Error::Shape`] if there are no cells or no sessions.
pub fn presence(probability: ArrayView2<'_, f32>, labels: &[String]) -> Result<Figure, Error> {
    const NAME: &str = "presence";
    let (cells, sessions) = probability.dim();
    if cells == 0 || sessions == 0 || labels.len() != sessions {
        return Err(Error::Shape {
            figure: NAME,
            reason: format!(
                "{cells} cells × {sessions} sessions, {} labels",
                labels.len()
            ),
        });
    }
    let mut order: Vec<usize> = (0..cells).collect();
    let seen = |cell: usize| probability.row(cell).iter().filter(|&&p| p >= 0.0).count();
    order.sort_by_key(|&cell| (std::cmp::Reverse(seen(cell)), cell));
    let (column, height) = (34_usize, 360.0);
    let row = height / cells as f64;
    let (width, total) = (8 + sessions * column + 8, 396);
    // Rows are thinner than a pixel: smoothed edges would darken some of them.
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{total}\" \
         viewBox=\"0 0 {width} {total}\" shape-rendering=\"crispEdges\" font-family=\"sans-serif\" font-size=\"11\">"
    );
    for (position, &cell) in order.iter().enumerate() {
        for session in 0..sessions {
            let p = probability[[cell, session]];
            if p >= 0.0 {
                let _ = write!(
                    svg,
                    "<rect x=\"{}\" y=\"{:.2}\" width=\"{}\" height=\"{:.2}\" fill=\"#0b6e75\" fill-opacity=\"{:.2}\"/>",
                    8 + session * column + 1,
                    8.0 + position as f64 * row,
                    column - 2,
                    row.max(0.4),
                    0.25 + 0.75 * p.clamp(0.0, 1.0)
                );
            }
        }
    }
    for (session, label) in labels.iter().enumerate() {
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"386\" text-anchor=\"middle\">{}</text>",
            8 + session * column + column / 2,
            escape(label)
        );
    }
    svg.push_str("</svg>");
    Ok(Figure::new(svg))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A scale of growing lightness from dark violet over teal to yellow.
fn viridis_like(share: f64) -> Rgb {
    const STOPS: [(f64, f64, f64); 5] = [
        (68.0, 1.0, 84.0),
        (59.0, 82.0, 139.0),
        (33.0, 145.0, 140.0),
        (94.0, 201.0, 98.0),
        (253.0, 231.0, 37.0),
    ];
    let at = share.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let index = (at as usize).min(STOPS.len() - 2);
    let part = at - index as f64;
    let (a, b) = (STOPS[index], STOPS[index + 1]);
    let mix = |from: f64, to: f64| (from + (to - from) * part).round() as u8;
    (mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_where_no_curve_is() {
        let corner = |y: [f64; 4]| {
            let curve = Curve::new("a", vec![0.0, 1.0, 2.0, 3.0], y.to_vec());
            emptiest_corner(&[curve], (1.5, 0.0))
        };
        assert!(matches!(
            corner([-1.0, -1.0, 1.0, 1.0]),
            SeriesLabelPosition::LowerRight
        ));
        assert!(matches!(
            corner([-1.0, -1.0, -1.0, -1.0]),
            SeriesLabelPosition::UpperLeft
        ));
        assert!(matches!(
            corner([1.0, 1.0, -1.0, 1.0]),
            SeriesLabelPosition::LowerLeft
        ));
        assert!(matches!(
            corner([f64::NAN; 4]),
            SeriesLabelPosition::LowerLeft
        ));
    }
}
