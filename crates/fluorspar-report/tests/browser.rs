//! The browser of cells carries what was put in, safely.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fluorspar_report::{
    Block, Browser, BrowserCell, BrowserEntry, BrowserSession, Error, Outline, Report, Section,
    figure, polygons,
};
use ndarray::Array2;
use proptest::prelude::*;
use serde_json::Value;

fn session(name: &str, image: &Array2<f32>, outlines: Vec<Outline>) -> BrowserSession<'static> {
    // Leaked, so that a test can name its sessions in one expression.
    let image: &'static Array2<f32> = Box::leak(Box::new(image.clone()));
    BrowserSession {
        name: name.into(),
        image: image.view(),
        outlines,
    }
}

fn entry(state: &str, roi: Option<usize>, p_same: Option<f32>, note: &str) -> BrowserEntry {
    BrowserEntry {
        state: state.into(),
        roi,
        p_same,
        note: note.into(),
    }
}

fn cell(name: &str, entries: Vec<BrowserEntry>) -> BrowserCell {
    BrowserCell {
        name: name.into(),
        confidence: 0.875,
        place: (3.0, 4.5),
        entries,
    }
}

fn square(y: f32, x: f32) -> Outline {
    vec![vec![(y, x), (y, x + 2.0), (y + 2.0, x + 2.0), (y + 2.0, x)]]
}

fn page(browsers: impl IntoIterator<Item = Browser>) -> String {
    let section = browsers
        .into_iter()
        .fold(Section::new("Matches"), |section, browser| {
            section.block(Block::Browser(browser))
        });
    Report::new("m12").section(section).render()
}

fn data(page: &str) -> Value {
    let start = "<script type=\"application/json\">";
    let from = page.find(start).unwrap() + start.len();
    let to = from + page[from..].find("</script>").unwrap();
    serde_json::from_str(&page[from..to]).unwrap()
}

/// The corners that the page's script would draw.
fn corners(walk: &Value, steps: f32) -> Vec<(f32, f32)> {
    let walk: Vec<f32> = serde_json::from_value(walk.clone()).unwrap();
    walk.chunks(2)
        .scan((0.0, 0.0), |at, step| {
            *at = (at.0 + step[0], at.1 + step[1]);
            Some((at.0 / steps, at.1 / steps))
        })
        .collect()
}

/// Whether a point is inside an odd number of polygons.
fn inside(outline: &Outline, (y, x): (f32, f32)) -> bool {
    let mut inside = false;
    for polygon in outline {
        for (i, &(y1, x1)) in polygon.iter().enumerate() {
            let (y0, x0) = polygon[(i + polygon.len() - 1) % polygon.len()];
            if (y0 > y) != (y1 > y) && x < x0 + (y - y0) / (y1 - y0) * (x1 - x0) {
                inside = !inside;
            }
        }
    }
    inside
}

#[test]
fn what_was_put_in_is_in_the_page() {
    let mut image = Array2::from_shape_fn((12, 10), |(y, x)| (10 * y + x) as f32);
    image[[2, 7]] = f32::NAN;
    let lone = vec![vec![(1.0, f32::NAN), (2.1, 3.4)], vec![]];
    let cells = [
        cell(
            "cell 12",
            vec![
                entry("matched", Some(1), None, "ROI 57"),
                entry("undetected", None, Some(0.25), ""),
            ],
        ),
        BrowserCell {
            confidence: f32::NAN,
            ..cell(
                "cell 13",
                vec![
                    entry("undetected", None, None, ""),
                    entry("matched", Some(0), Some(1.5), "ROI 3"),
                ],
            )
        },
    ];
    let sessions = [
        session("day 1", &image, vec![lone, square(1.3, -0.9)]),
        session("day 2", &image, vec![square(5.0, 5.0)]),
    ];
    let data = data(&page([Browser::new(&sessions, &cells).unwrap()]));

    assert_eq!(data["size"], serde_json::json!([12, 10]));
    assert_eq!(data["states"], serde_json::json!(["matched", "undetected"]));
    let steps = data["steps"].as_f64().unwrap() as f32;
    let entries = |cell: usize| data["cells"][cell]["entries"].clone();
    assert_eq!(
        entries(0),
        serde_json::json!([[0, 1, null, "ROI 57"], [1, null, 250, ""]])
    );
    assert_eq!(
        entries(1),
        serde_json::json!([[1, null, null, ""], [0, 0, 1000, "ROI 3"]])
    );
    assert_eq!(data["cells"][0]["confidence"], 875);
    assert!(data["cells"][1]["confidence"].is_null());
    assert_eq!(data["cells"][0]["place"], serde_json::json!([12, 18]));
    assert_eq!(data["sessions"][1]["name"], "day 2");

    let outlines = &data["sessions"][0]["outlines"];
    assert_eq!(corners(&outlines[0][0], steps), [(2.0, 3.5)]);
    assert_eq!(outlines[0][1], serde_json::json!([]));
    for (drawn, meant) in corners(&outlines[1][0], steps)
        .iter()
        .zip(&square(1.3, -0.9)[0])
    {
        assert!((drawn.0 - meant.0).abs() <= 0.125 && (drawn.1 - meant.1).abs() <= 0.125);
    }

    let url = data["sessions"][0]["image"].as_str().unwrap();
    let png = STANDARD
        .decode(url.strip_prefix("data:image/png;base64,").unwrap())
        .unwrap();
    let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; 240];
    reader.next_frame(&mut pixels).unwrap();
    let (grey, alpha): (Vec<u8>, Vec<u8>) = pixels.chunks(2).map(|p| (p[0], p[1])).unzip();
    let clear: Vec<usize> = (0..120).filter(|&i| alpha[i] == 0).collect();
    assert_eq!(clear, [27], "NaN alone is transparent");
    assert!(grey[0] < 10 && grey[119] > 245 && grey[60] > 100 && grey[60] < 155);
}

#[test]
fn hostile_names_stay_names() {
    let hostile = "</script><img src=x onerror=alert(1)><!-- <script> & \" \\u003c \u{2028}";
    let image = Array2::zeros((4, 4));
    let sessions = [session(hostile, &image, vec![square(0.0, 0.0)])];
    let cells = [cell(hostile, vec![entry(hostile, Some(0), None, hostile)])];
    let page = page([Browser::new(&sessions, &cells).unwrap()]);
    assert_eq!(page.matches("<script").count(), 3);
    assert_eq!(page.matches("</script").count(), 3);
    assert!(!page.contains("<img") && !page.contains("<!--"));
    let data = data(&page);
    assert_eq!(data["sessions"][0]["name"], hostile);
    assert_eq!(data["cells"][0]["name"], hostile);
    assert_eq!(data["states"][0], hostile);
    assert_eq!(data["cells"][0]["entries"][0][3], hostile);
}

#[test]
fn the_script_comes_once_and_loads_nothing() {
    let image = Array2::zeros((4, 4));
    let browser = Browser::new(
        &[session("1", &image, vec![])],
        &[cell("a", vec![BrowserEntry::default()])],
    )
    .unwrap();
    let page = page([browser.clone(), browser]);
    // Two of the page, and the data of each browser.
    assert_eq!(page.matches("<script").count(), 4);
    assert_eq!(page.matches("<noscript>").count(), 2);
    for loader in [
        "src=\"", "http:", "https:", "url(", "@import", "fetch(", "import(",
    ] {
        assert!(!page.contains(loader), "{loader}");
    }
    for tag in [
        "div", "label", "button", "select", "option", "span", "p", "style", "script",
    ] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn shapes_that_disagree_are_refused() {
    let image = Array2::zeros((4, 4));
    let other = Array2::zeros((4, 5));
    let empty = Array2::zeros((0, 4));
    let one = |image| vec![session("1", image, vec![square(0.0, 0.0)])];
    let plain = || cell("a", vec![entry("matched", Some(0), None, "")]);
    let refused = |sessions: &[BrowserSession<'_>], cells: &[BrowserCell], why: &str| {
        let error = Browser::new(sessions, cells).unwrap_err();
        assert!(matches!(
            error,
            Error::Shape {
                figure: "browser",
                ..
            }
        ));
        assert!(error.to_string().contains(why), "{error}");
    };
    assert!(Browser::new(&one(&image), &[plain()]).is_ok());
    refused(&[], &[plain()], "no sessions");
    refused(&one(&image), &[], "no cells");
    refused(&one(&empty), &[plain()], "no pixels");
    let unlike = [session("1", &image, vec![]), session("2", &other, vec![])];
    refused(
        &unlike,
        &[cell("a", vec![BrowserEntry::default(); 2])],
        "(4, 5)",
    );
    refused(
        &one(&image),
        &[cell("a", vec![])],
        "0 entries for 1 sessions",
    );
    let beyond = cell("a", vec![entry("matched", Some(1), None, "")]);
    refused(&one(&image), &[beyond], "is ROI 1");
    refused(&one(&image), &[plain(), plain()], "belongs to");
    let nowhere = BrowserCell {
        place: (f32::NAN, 0.0),
        ..plain()
    };
    refused(&one(&image), &[nowhere], "no finite place");
}

#[test]
fn holes_and_touching_corners_are_polygons_of_their_own() {
    let ring: Vec<u32> = [9, 10, 11, 17, 19, 25, 26, 27].into();
    let traced = polygons(&ring, 8);
    assert_eq!(traced.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4]);
    assert!(traced[1].contains(&(2.0, 2.0)) && traced[1].contains(&(3.0, 3.0)));
    let diagonal = polygons(&[9, 18], 8);
    assert_eq!(diagonal.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4]);
    assert!(polygons(&[1, 2], 0).is_empty() && polygons(&[], 8).is_empty());
}

proptest! {
    #[test]
    fn polygons_hold_the_footprint_and_nothing_else(
        mut pixels in prop::collection::vec(0_u32..64, 0..90),
    ) {
        // Any order, repeated: so dense that holes and touching corners abound.
        let traced = polygons(&pixels, 8);
        for index in 0..64_u32 {
            let centre = ((index / 8) as f32 + 0.5, (index % 8) as f32 + 0.5);
            prop_assert_eq!(inside(&traced, centre), pixels.contains(&index), "{}", index);
        }
        pixels.sort_unstable();
        pixels.dedup();
        let mut length = 0.0;
        for polygon in &traced {
            for (i, &(y, x)) in polygon.iter().enumerate() {
                let (ny, nx) = polygon[(i + 1) % polygon.len()];
                let (py, px) = polygon[(i + polygon.len() - 1) % polygon.len()];
                // A run is straight along one axis, and turns at its end.
                prop_assert!((ny == y) != (nx == x));
                prop_assert!((ny == y) != (py == y) && (nx == x) != (px == x));
                length += (ny - y).abs() + (nx - x).abs();
            }
        }
        prop_assert_eq!(length, figure::outline(&pixels, 8).len() as f32);
    }

    #[test]
    fn outlines_are_kept_to_an_eighth_of_a_pixel(
        polygon in prop::collection::vec((-50.0_f32..700.0, -50.0_f32..700.0), 1..30),
    ) {
        let image = Array2::zeros((4, 4));
        let sessions = [session("1", &image, vec![vec![polygon.clone()]])];
        let cells = [cell("a", vec![BrowserEntry::default()])];
        let data = data(&page([Browser::new(&sessions, &cells).unwrap()]));
        let drawn = corners(&data["sessions"][0]["outlines"][0][0], 4.0);
        for &(y, x) in &polygon {
            let near = |&(dy, dx): &(f32, f32)| (dy - y).abs() <= 0.126 && (dx - x).abs() <= 0.126;
            prop_assert!(drawn.iter().any(near));
        }
    }
}
