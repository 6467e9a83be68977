//! Pages of several regions, planted and real.

use std::path::{Path, PathBuf};

use fluorspar_tiff::{Error, MroiLayout, ScanImage};
use ndarray::Array2;
use proptest::prelude::*;
use serde_json::{Value, json};

fn settings(rois: &Value, gap: usize) -> ScanImage {
    ScanImage {
        roi_groups: Some(
            json!({ "RoiGroups": { "imagingRoiGroup": { "rois": rois } } }).to_string(),
        ),
        line_period_s: Some(5e-5),
        flyto_time_s: Some(gap as f64 * 5e-5),
        objective_resolution: Some(150.0),
        ..ScanImage::default()
    }
}

fn roi(centre: [f64; 2], size: [f64; 2], pixels: [usize; 2]) -> Value {
    json!({ "zs": 0, "scanfields": {
        "centerXY": [centre[1], centre[0]], "sizeXY": [size[1], size[0]],
        "pixelResolutionXY": [pixels[1], pixels[0]],
    }})
}

proptest! {
    /// Columns of strips side by side, in fields far apart: every strip comes
    /// to its place, and back into the page.
    #[test]
    fn strips_are_put_together_and_taken_apart(
        strips in 1_usize..6, fields in 1_usize..4, height in 1_usize..12, width in 1_usize..9, gap in 0_usize..7,
    ) {
        let (height, width) = (2 * height, 2 * width);
        let mut rois = Vec::new();
        for field in 0..fields {
            for strip in 0..strips {
                let x = field as f64 * 1e4 + (strip * width) as f64 * 0.01;
                rois.push(roi([0.5, x], [height as f64 * 0.01, width as f64 * 0.01], [height, width]));
            }
        }
        let count = strips * fields;
        let rows = count * height + (count - 1) * gap;
        let layout = MroiLayout::new(&settings(&json!(rois), gap), 0.0, [rows, width]).unwrap();
        prop_assert_eq!(&layout.fields, &vec![[height, strips * width]; fields]);
        let um = layout.pixel_size_um[0].unwrap();
        prop_assert!((um[0] - 1.5).abs() < 1e-9 && (um[1] - 1.5).abs() < 1e-9);
        let page = Array2::from_shape_fn((rows, width), |(y, x)| 1 + (y * width + x) as i32);
        let images = layout.assemble(page.view(), 0).unwrap();
        for (k, image) in images.iter().enumerate() {
            for ((y, x), &value) in image.indexed_iter() {
                let strip = k * strips + x / width;
                let row = strip * (height + gap) + y;
                prop_assert_eq!(value, 1 + (row * width + x % width) as i32);
            }
        }
        let again = layout.disassemble(&images, 0).unwrap();
        for ((y, x), &value) in again.indexed_iter() {
            let flyback = y % (height + gap) >= height;
            prop_assert_eq!(value, if flyback { 0 } else { page[[y, x]] });
        }
    }
}

#[test]
fn estimates_of_the_gap_must_agree() {
    let rois = json!([
        roi([0.0, 0.0], [1.0, 1.0], [10, 4]),
        roi([0.0, 1.0], [1.0, 1.0], [10, 4])
    ]);
    let refused = |gap, page| {
        let Err(Error::Contradiction(text)) = MroiLayout::new(&settings(&rois, gap), 0.0, page)
        else {
            panic!("{gap} lines in {page:?}");
        };
        text
    };
    assert!(MroiLayout::new(&settings(&rois, 3), 0.0, [23, 4]).is_ok());
    let text = refused(4, [23, 4]);
    assert!(
        text.contains("4 lines") && text.contains("3 rows"),
        "{text}"
    );
    assert!(refused(0, [19, 4]).contains("20 rows"));
    assert!(refused(3, [23, 3]).contains("do not fit"));
    let silent = ScanImage {
        flyto_time_s: None,
        ..settings(&rois, 0)
    };
    assert_eq!(MroiLayout::new(&silent, 0.0, [25, 4]).unwrap().gap, 5);
    for broken in ["", "{", "[]", "{\"RoiGroups\": 3}", "null"] {
        let settings = ScanImage {
            roi_groups: Some(broken.into()),
            ..ScanImage::default()
        };
        assert!(MroiLayout::new(&settings, 0.0, [10, 10]).is_err());
    }
}

#[test]
fn regions_between_two_depths_are_interpolated() {
    let at = |x: f64, width: usize| {
        json!({
            "centerXY": [x, 0.0], "sizeXY": [width as f64 * 0.1, 1.0], "pixelResolutionXY": [width, 10],
        })
    };
    let rois = |discrete: i32| {
        json!([{
            "zs": [0, 100], "scanfields": [at(0.0, 10), at(1.0, 20)], "discretePlaneMode": discrete,
        }])
    };
    let width = |discrete, z| {
        let layout = MroiLayout::new(&settings(&rois(discrete), 0), z, [10, 20]);
        layout.ok().map(|layout| layout.strips[0].columns)
    };
    assert_eq!((width(0, 0.0), width(0, 100.0)), (Some(10), Some(20)));
    // 13.3 columns are rounded to an even number.
    assert_eq!(width(0, 33.0), Some(14));
    assert_eq!((width(0, -1.0), width(0, 101.0)), (None, None));
    assert_eq!((width(1, 0.0), width(1, 50.0)), (Some(10), None));
}

fn data() -> Option<PathBuf> {
    let path = std::env::var_os("FLUORSPAR_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    path.is_dir().then_some(path)
}

/// The settings of a real mesoscope recording, whose frames were already put
/// together by its authors: nine strips of 64 columns make 464 × 576 pixels.
#[test]
fn a_real_mosaic_has_the_size_its_authors_gave_it() {
    let Some(data) = data() else { return };
    let folder = data.join("movies/mesoscope");
    let text = std::fs::read_to_string(folder.join("metadata.json")).unwrap();
    let header: Value = serde_json::from_str(&text).unwrap();
    let number = |path: &str| header.pointer(path).and_then(Value::as_f64);
    let settings = ScanImage {
        roi_groups: Some(text.clone()),
        line_period_s: number("/hRoiManager/linePeriod"),
        flyto_time_s: number("/hResScan/flytoTimePerScanfield"),
        objective_resolution: number("/objectiveResolution"),
        ..ScanImage::default()
    };
    let z = number("/hStackManager/zs").unwrap();
    let gap = (settings.flyto_time_s.unwrap() / settings.line_period_s.unwrap()).round() as usize;
    let rows = 9 * 464 + 8 * gap;
    let layout = MroiLayout::new(&settings, z, [rows, 64]).unwrap();
    assert_eq!((layout.strips.len(), layout.gap), (9, 122));
    let frame = fluorspar_tiff::Movie::open(&folder.join("image-00000.tif")).unwrap();
    let shape = fluorspar_movie::Movie::shape(&frame);
    assert_eq!(layout.fields, vec![[shape.height, shape.width]]);
}
