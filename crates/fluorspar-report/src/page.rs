use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::Figure;
use crate::browser::{self, Browser};

/// One page: a title, a lead paragraph and sections.
#[derive(Clone, Debug, Default)]
pub struct Report {
    title: String,
    lead: Vec<String>,
    sections: Vec<Section>,
    colophon: String,
}

/// A part of the page under its own heading.
#[derive(Clone, Debug, Default)]
pub struct Section {
    title: String,
    blocks: Vec<Block>,
}

/// What a section is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Block {
    /// Running text.
    Paragraph(String),
    /// A heading within the section.
    Heading(String),
    /// A sentence in small print: where the numbers lie, what was left out.
    Note(String),
    /// A table.
    Table(Table),
    /// Blocks that are shown when their summary is clicked: long tables, further figures.
    Folded {
        /// What is in them.
        summary: String,
        /// The blocks.
        blocks: Vec<Block>,
    },
    /// Questions with a light and a sentence each.
    Checks(Vec<Check>),
    /// Figures beside each other, wrapping.
    Figures(Vec<Figure>),
    /// A browser of cells over sessions: the one block that needs a script.
    Browser(Browser),
}

/// A table of text.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Column headings.
    pub header: Vec<String>,
    /// Rows, each as long as the header.
    pub rows: Vec<Vec<String>>,
}

/// A question that was asked of the data.
#[derive(Clone, Debug)]
pub struct Check {
    /// The answer in one colour.
    pub light: Light,
    /// What was asked.
    pub question: String,
    /// What was found, with its numbers.
    pub finding: String,
}

/// The answer to a [`Check`]; each has a shape and a word besides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Light {
    /// Nothing found.
    Clear,
    /// Something that must be looked at.
    Caution,
    /// Something that may make the result.
    Alarm,
    /// The data do not say.
    Unknown,
}

impl Report {
    /// An empty page.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// Adds a paragraph to the lead: what a hurried reader must know.
    #[must_use]
    pub fn lead(mut self, text: impl Into<String>) -> Self {
        self.lead.push(text.into());
        self
    }

    /// Adds a section.
    #[must_use]
    pub fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// Sets the line at the foot: program, version, seed.
    #[must_use]
    pub fn colophon(mut self, text: impl Into<String>) -> Self {
        self.colophon = text.into();
        self
    }

    /// The page as one HTML document. All text is escaped.
    pub fn render(&self) -> String {
        let browsed = self
            .sections
            .iter()
            .flat_map(|section| &section.blocks)
            .any(Block::browses);
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) }
                    style {
                        (PreEscaped(STYLE))
                        @if browsed { (PreEscaped(browser::STYLE)) }
                    }
                }
                body {
                    header {
                        h1 { (self.title) }
                        @for text in &self.lead { p.lead { (text) } }
                        nav {
                            @for (index, section) in self.sections.iter().enumerate() {
                                a href=(format!("#s{index}")) { (section.title) }
                            }
                        }
                    }
                    main {
                        @for (index, section) in self.sections.iter().enumerate() {
                            section id=(format!("s{index}")) {
                                h2 { (section.title) }
                                @for block in &section.blocks { (block.markup()) }
                            }
                        }
                    }
                    footer { (self.colophon) }
                    @if browsed {
                        @for script in browser::SCRIPTS { script { (PreEscaped(script)) } }
                    }
                }
            }
        }
        .into_string()
    }
}

impl Section {
    /// An empty section.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            blocks: Vec::new(),
        }
    }

    /// Adds a block.
    #[must_use]
    pub fn block(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }

    /// Adds a paragraph.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.block(Block::Paragraph(text.into()))
    }
}

impl Block {
    fn browses(&self) -> bool {
        match self {
            Self::Browser(_) => true,
            Self::Folded { blocks, .. } => blocks.iter().any(Self::browses),
            _ => false,
        }
    }

    fn markup(&self) -> Markup {
        match self {
            Self::Paragraph(text) => html! { p { (text) } },
            Self::Heading(text) => html! { h3.part { (text) } },
            Self::Note(text) => html! { p.note { (text) } },
            Self::Table(table) => table.markup(),
            Self::Folded { summary, blocks } => html! {
                details { summary { (summary) } @for block in blocks { (block.markup()) } }
            },
            Self::Checks(checks) => html! {
                ul.checks { @for check in checks { (check.markup()) } }
            },
            Self::Figures(figures) => html! {
                div.figures {
                    @for figure in figures {
                        figure {
                            @if !figure.title().is_empty() { h3 { (figure.title()) } }
                            (PreEscaped(figure.svg()))
                            @if !figure.caption().is_empty() { figcaption { (figure.caption()) } }
                        }
                    }
                }
            },
            Self::Browser(browser) => browser.markup(),
        }
    }
}

impl Table {
    fn markup(&self) -> Markup {
        html! {
            div.scroll { table {
                thead { tr { @for cell in &self.header { th { (cell) } } } }
                tbody {
                    @for row in &self.rows { tr { @for cell in row { td { (cell) } } } }
                }
            } }
        }
    }
}

impl Check {
    fn markup(&self) -> Markup {
        let (class, sign, word) = match self.light {
            Light::Clear => ("clear", "●", "clear"),
            Light::Caution => ("caution", "▲", "look"),
            Light::Alarm => ("alarm", "■", "problem"),
            Light::Unknown => ("unknown", "○", "not known"),
        };
        html! {
            li {
                span.light.(class) { span aria-hidden="true" { (sign) } " " (word) }
                div { strong { (self.question) } " " (self.finding) }
            }
        }
    }
}

const STYLE: &str = "
:root { --ink: #1c2530; --soft: #5b6875; --line: #dde3e8; --accent: #0b6e75; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fbfcfc;
  font: 16px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif; }
header, main, footer { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 40px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 12px; }
h2 { font-size: 21px; margin: 48px 0 8px; padding-top: 16px; border-top: 1px solid var(--line); }
h3 { font-size: 14px; margin: 0 0 6px; font-weight: 600; }
h3.part { font-size: 16px; margin: 28px 0 4px; }
p { max-width: 78ch; margin: 8px 0; }
.lead { font-size: 18px; }
nav { margin: 16px 0 0; display: flex; flex-wrap: wrap; gap: 6px 18px; }
nav a { color: var(--accent); text-decoration: none; font-size: 14px; }
nav a:hover { text-decoration: underline; }
.figures { display: flex; flex-wrap: wrap; gap: 20px; margin: 16px 0; }
figure { margin: 0; max-width: 100%; padding: 12px; background: #fff; border: 1px solid var(--line); border-radius: 6px; }
figure svg { display: block; max-width: 100%; height: auto; }
figcaption { color: var(--soft); font-size: 13px; max-width: 60ch; margin-top: 6px; }
.scroll { overflow-x: auto; margin: 12px 0; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
.note { color: var(--soft); font-size: 13px; }
details { margin: 12px 0; font-size: 14px; }
summary { color: var(--accent); cursor: pointer; }
.checks { list-style: none; margin: 16px 0; padding: 0; max-width: 88ch; }
.checks li { display: flex; gap: 14px; padding: 8px 0; border-bottom: 1px solid var(--line); }
.light { flex: 0 0 92px; font-size: 14px; font-weight: 600; white-space: nowrap; }
.clear { color: #00795c; } .caution { color: #a86200; } .alarm { color: #b32d00; } .unknown { color: var(--soft); }
footer { color: var(--soft); font-size: 13px; padding: 40px 24px; }
@media print {
  body { background: #fff; } nav { display: none; }
  figure, li, tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
";
