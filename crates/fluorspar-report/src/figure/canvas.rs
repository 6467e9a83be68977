//! An SVG that grows element by element.

use std::fmt::Write as _;

use super::colour::{Rgb, Scale, css};
use super::{Figure, escape};

/// Pixels that a letter of the figures' text takes, on average.
const LETTER: f64 = 6.0;

/// How wide a text will be, roughly: nothing here measures fonts.
pub(super) fn text_width(text: &str) -> f64 {
    LETTER * text.chars().count() as f64
}

#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// How a line is drawn.
#[derive(Clone, Copy)]
pub(super) struct Pen {
    pub(super) colour: Rgb,
    pub(super) width: f64,
    pub(super) dashed: bool,
}

impl Pen {
    pub(super) fn new(colour: Rgb, width: f64) -> Self {
        Self {
            colour,
            width,
            dashed: false,
        }
    }

    fn attributes(self) -> String {
        let dash = if self.dashed {
            " stroke-dasharray=\"5 4\""
        } else {
            ""
        };
        format!(
            "stroke=\"{}\" stroke-width=\"{}\"{dash}",
            css(self.colour),
            self.width
        )
    }
}

// Writing to a String does not fail, so the results of `write!` are dropped.
pub(super) struct Canvas {
    width: f64,
    height: f64,
    body: String,
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    pub(super) fn finish(self) -> Figure {
        let Self {
            width,
            height,
            body,
        } = self;
        Figure::new(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"11\">{body}</svg>"
        ))
    }

    pub(super) fn raw(&mut self, element: &str) {
        self.body.push_str(element);
    }

    /// A filled rectangle; `title` is shown to who points at it.
    pub(super) fn rect(&mut self, at: (f64, f64), size: (f64, f64), fill: Rgb, title: &str) {
        let _ = write!(
            self.body,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"",
            at.0,
            at.1,
            size.0,
            size.1,
            css(fill)
        );
        self.close("rect", title);
    }

    pub(super) fn frame(&mut self, at: (f64, f64), size: (f64, f64), colour: Rgb) {
        let _ = write!(
            self.body,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"none\" stroke=\"{}\"/>",
            at.0,
            at.1,
            size.0,
            size.1,
            css(colour)
        );
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), pen: Pen) {
        let _ = write!(
            self.body,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" {}/>",
            from.0,
            from.1,
            to.0,
            to.1,
            pen.attributes()
        );
    }

    /// An unfilled path of SVG commands.
    pub(super) fn stroke(&mut self, commands: &str, pen: Pen, title: &str) {
        if commands.is_empty() {
            return;
        }
        let _ = write!(
            self.body,
            "<path d=\"{commands}\" fill=\"none\" stroke-linejoin=\"round\" {}",
            pen.attributes()
        );
        self.close("path", title);
    }

    /// A filled path of SVG commands.
    pub(super) fn fill(&mut self, commands: &str, fill: Rgb, opacity: f64, title: &str) {
        if commands.is_empty() {
            return;
        }
        let _ = write!(
            self.body,
            "<path d=\"{commands}\" fill=\"{}\" fill-opacity=\"{opacity}\"",
            css(fill)
        );
        self.close("path", title);
    }

    /// A point: filled, or a ring.
    pub(super) fn point(
        &mut self,
        at: (f64, f64),
        radius: f64,
        colour: Rgb,
        hollow: bool,
        title: &str,
    ) {
        let fill = if hollow {
            "#fff".to_owned()
        } else {
            css(colour)
        };
        let _ = write!(
            self.body,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\" fill=\"{fill}\" stroke=\"{}\"",
            at.0,
            at.1,
            css(colour)
        );
        self.close("circle", title);
    }

    pub(super) fn text(&mut self, at: (f64, f64), anchor: Anchor, fill: &str, text: &str) {
        let _ = write!(
            self.body,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{}\" fill=\"{fill}\">{}</text>",
            at.0,
            at.1,
            anchor.name(),
            escape(text)
        );
    }

    /// Text that reads upwards, its middle at the point.
    pub(super) fn upright(&mut self, at: (f64, f64), fill: &str, text: &str) {
        let _ = write!(
            self.body,
            "<text transform=\"translate({:.1} {:.1}) rotate(-90)\" text-anchor=\"middle\" fill=\"{fill}\">{}</text>",
            at.0,
            at.1,
            escape(text)
        );
    }

    /// An upright bar of a scale's colours with its ends named, `label` beside it.
    pub(super) fn colour_bar(&mut self, at: (f64, f64), height: f64, scale: &Scale, label: &str) {
        const STEPS: u32 = 48;
        const WIDTH: f64 = 10.0;
        let step = height / f64::from(STEPS);
        for index in 0..STEPS {
            let share = 1.0 - f64::from(index) / f64::from(STEPS - 1);
            // A little overlap hides the seams.
            let top = (at.0, at.1 + f64::from(index) * step);
            self.rect(top, (WIDTH, step + 0.3), scale.at(share), "");
        }
        let range = scale.range();
        let middle = 0.5 * (range.start + range.end);
        let beside = at.0 + WIDTH + 4.0;
        let named = [(range.end, 0.0), (middle, 0.5), (range.start, 1.0)];
        for (value, down) in named {
            let place = (beside, at.1 + down * height + 4.0);
            self.text(place, Anchor::Start, "#333", &short(value));
        }
        self.upright((beside + 38.0, at.1 + 0.5 * height), "#555", label);
    }

    fn close(&mut self, tag: &str, title: &str) {
        if title.is_empty() {
            self.body.push_str("/>");
        } else {
            let _ = write!(self.body, "><title>{}</title></{tag}>", escape(title));
        }
    }
}

/// A number in few characters.
pub(super) fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let size = value.abs();
    if !(1e-3..1e5).contains(&size) {
        return format!("{value:.1e}");
    }
    let digits = if size < 0.1 {
        3
    } else if size < 10.0 {
        2
    } else {
        usize::from(size < 100.0)
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.5, 0.25, -1.0, 0.0123, 12.0, 1234.0, 1e6, 1e-9].map(short);
        assert_eq!(
            shown,
            [
                "0", "0.5", "0.25", "-1", "0.012", "12", "1234", "1.0e6", "1.0e-9"
            ]
        );
    }
}
