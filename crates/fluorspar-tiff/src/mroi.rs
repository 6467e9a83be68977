//! Several regions in one page: ScanImage's scanfields, stacked in y with
//! flyback lines between them.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, s};
use serde_json::Value;

use crate::{Error, ScanImage};

/// Most scanfields of a page.
const MOST_FIELDS: usize = 10_000;
/// Most pixels of the image of a field.
const MOST_PIXELS: usize = 1 << 30;
/// Strips whose edges are this close, in pixels, are one field.
const TOUCHING: f64 = 1.5;

/// One region at one depth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scanfield {
    /// Centre along y and x in degrees of scan angle.
    pub(crate) centre_deg: [f64; 2],
    /// Height and width in degrees.
    pub(crate) size_deg: [f64; 2],
    /// Height and width in pixels.
    pub(crate) pixels: [usize; 2],
}

/// One strip of a page and where it belongs.
#[derive(Clone, Debug, PartialEq)]
pub struct Strip {
    /// Its rows in the page.
    pub rows: Range<usize>,
    /// Its columns in the page, from 0.
    pub columns: usize,
    /// The field it belongs to.
    pub field: usize,
    /// Its first row and column in the image of that field.
    pub place: [usize; 2],
}

/// How the strips of a page make up images of the tissue.
///
/// A page holds the regions one below the other, with lines between them
/// during which the scanner flew to the next. Strips that touch become one
/// image. Distances follow from centres and sizes in degrees of scan angle.
///
/// ```
/// use fluorspar_tiff::{MroiLayout, ScanImage};
/// use ndarray::Array2;
///
/// // Two strips of 6 × 4 pixels, side by side, with two lines of flyback between them.
/// let rois = r#"{"RoiGroups": {"imagingRoiGroup": {"rois": [
///     {"zs": 0, "scanfields": {"centerXY": [-1, 0], "sizeXY": [2, 3], "pixelResolutionXY": [4, 6]}},
///     {"zs": 0, "scanfields": {"centerXY": [ 1, 0], "sizeXY": [2, 3], "pixelResolutionXY": [4, 6]}}
/// ]}}}"#;
/// let settings = ScanImage {
///     roi_groups: Some(rois.into()),
///     line_period_s: Some(0.001),
///     flyto_time_s: Some(0.002),
///     objective_resolution: Some(15.0),
///     ..ScanImage::default()
/// };
/// let layout = MroiLayout::new(&settings, 0.0, [14, 4])?;
/// let page = Array2::from_shape_fn((14, 4), |(y, x)| (10 * y + x) as i16);
/// let images = layout.assemble(page.view(), -1)?;
/// assert_eq!(images.len(), 1);
/// assert_eq!(images[0].dim(), (6, 8));
/// assert_eq!(images[0][[2, 5]], 10 * (8 + 2) + 1);
/// # Ok::<(), fluorspar_tiff::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MroiLayout {
    /// Rows and columns of a page.
    pub page: [usize; 2],
    /// The strips in the order of the page.
    pub strips: Vec<Strip>,
    /// Lines between two strips.
    pub gap: usize,
    /// Rows and columns of the image of each field.
    pub fields: Vec<[usize; 2]>,
    /// Height and width of a pixel of each field in µm, if the scale is known.
    pub pixel_size_um: Vec<Option<[f64; 2]>>,
}

impl MroiLayout {
    /// The layout at depth `z` (ScanImage's coordinate) of pages with `page`
    /// rows and columns.
    ///
    /// The number of lines between strips is taken from the time that the
    /// scanner needs to fly on, and from what the strips leave of the page.
    ///
    /// # Errors
    /// [`Error::Contradiction`] if the settings name no regions at that
    /// depth, if both estimates of the lines between strips differ, or if the
    /// strips do not fit the page.
    pub fn new(settings: &ScanImage, z: f64, page: [usize; 2]) -> Result<Self, Error> {
        let text = settings.roi_groups.as_deref().unwrap_or_default();
        let groups: Value = serde_json::from_str(text)
            .map_err(|e| Error::Contradiction(format!("the ROI groups cannot be read: {e}")))?;
        let fields = scanfields(&groups, z);
        if fields.is_empty() {
            return Err(Error::Contradiction(format!(
                "the settings name no regions at depth {z}"
            )));
        }
        let gap = gap(settings, &fields, page[0])?;
        let mut first = 0;
        let mut rows = Vec::new();
        for field in &fields {
            let end = first + field.pixels[0];
            if end > page[0] || field.pixels[1] > page[1] {
                return Err(Error::Contradiction(format!(
                    "regions of {} × {} pixels from row {first} on do not fit pages of {} × {}",
                    field.pixels[0], field.pixels[1], page[0], page[1]
                )));
            }
            rows.push(first..end);
            first = end + gap;
        }
        let groups = touching(&fields);
        let mut out = Self {
            page,
            strips: Vec::new(),
            gap,
            fields: Vec::new(),
            pixel_size_um: Vec::new(),
        };
        for (number, members) in groups.iter().enumerate() {
            let pitch = fields[members[0]].pitch();
            let corner = [0, 1].map(|axis| {
                let edges = members.iter().map(|&k| fields[k].edge(axis));
                edges.fold(f64::INFINITY, f64::min)
            });
            let mut size = [0, 0];
            for &member in members {
                let field = &fields[member];
                let place = [0, 1]
                    .map(|axis| ((field.edge(axis) - corner[axis]) / pitch[axis]).round() as usize);
                size = [0, 1]
                    .map(|axis| size[axis].max(place[axis].saturating_add(field.pixels[axis])));
                out.strips.push(Strip {
                    rows: rows[member].clone(),
                    columns: field.pixels[1],
                    field: number,
                    place,
                });
            }
            let area = size[0].checked_mul(size[1]);
            if area.is_none_or(|area| area > MOST_PIXELS) {
                return Err(Error::Contradiction(format!(
                    "a field of {} × {} pixels is more than any page can fill",
                    size[0], size[1]
                )));
            }
            out.fields.push(size);
            let scale = settings.objective_resolution;
            out.pixel_size_um
                .push(scale.map(|um| pitch.map(|deg| deg * um)));
        }
        out.strips.sort_by_key(|strip| strip.rows.start);
        Ok(out)
    }

    /// Puts the strips of a page `(y, x)` into the images of the fields;
    /// `fill` where no strip lies. Where strips overlap, the later one shows.
    ///
    /// # Errors
    /// [`Error::Misuse`] for a page of another size.
    pub fn assemble<T: Copy>(
        &self,
        page: ArrayView2<'_, T>,
        fill: T,
    ) -> Result<Vec<Array2<T>>, Error> {
        self.check(page.dim())?;
        let mut images: Vec<Array2<T>> = self
            .fields
            .iter()
            .map(|&[height, width]| Array2::from_elem((height, width), fill))
            .collect();
        for strip in &self.strips {
            let [y, x] = strip.place;
            let part = page.slice(s![strip.rows.clone(), ..strip.columns]);
            images[strip.field]
                .slice_mut(s![y..y + strip.rows.len(), x..x + strip.columns])
                .assign(&part);
        }
        Ok(images)
    }

    /// The reverse of [`MroiLayout::assemble`]: a page whose flyback lines are `fill`.
    ///
    /// # Errors
    /// [`Error::Misuse`] for images that are not one per field, each of its size.
    pub fn disassemble<T: Copy>(&self, images: &[Array2<T>], fill: T) -> Result<Array2<T>, Error> {
        let sizes: Vec<[usize; 2]> = images
            .iter()
            .map(|image| [image.nrows(), image.ncols()])
            .collect();
        if sizes != self.fields {
            return Err(Error::Misuse(format!(
                "images of {sizes:?} pixels are not the fields of {:?}",
                self.fields
            )));
        }
        let mut page = Array2::from_elem((self.page[0], self.page[1]), fill);
        for strip in &self.strips {
            let [y, x] = strip.place;
            let part = images[strip.field].slice(s![y..y + strip.rows.len(), x..x + strip.columns]);
            page.slice_mut(s![strip.rows.clone(), ..strip.columns])
                .assign(&part);
        }
        Ok(page)
    }

    fn check(&self, (height, width): (usize, usize)) -> Result<(), Error> {
        if [height, width] != self.page {
            return Err(Error::Misuse(format!(
                "a page of {height} × {width} pixels is not one of {} × {}",
                self.page[0], self.page[1]
            )));
        }
        Ok(())
    }
}

impl Scanfield {
    /// Degrees per pixel along y and x.
    fn pitch(&self) -> [f64; 2] {
        [0, 1].map(|axis| self.size_deg[axis] / self.pixels[axis] as f64)
    }

    /// Where it begins, in degrees.
    fn edge(&self, axis: usize) -> f64 {
        self.centre_deg[axis] - self.size_deg[axis] / 2.0
    }

    /// Between two fields, at `weight` of the way to `other`.
    fn towards(&self, other: &Self, weight: f64) -> Self {
        let mix = |a: f64, b: f64| a + weight * (b - a);
        // ScanImage rounds to even numbers of pixels.
        let even = |a: usize, b: usize| 2 * (mix(a as f64, b as f64) / 2.0).round() as usize;
        Self {
            centre_deg: [0, 1].map(|k| mix(self.centre_deg[k], other.centre_deg[k])),
            size_deg: [0, 1].map(|k| mix(self.size_deg[k], other.size_deg[k])),
            pixels: [0, 1].map(|k| {
                if self.pixels[k] == other.pixels[k] {
                    self.pixels[k]
                } else {
                    even(self.pixels[k], other.pixels[k])
                }
            }),
        }
    }

    fn parse(json: &Value) -> Option<Self> {
        let pair = |name: &str| {
            let list = json.get(name)?.as_array()?;
            // ScanImage writes x before y.
            let [x, y] = [list.first()?.as_f64()?, list.get(1)?.as_f64()?];
            (x.is_finite() && y.is_finite()).then_some([y, x])
        };
        let pixels = pair("pixelResolutionXY")?;
        let size = pair("sizeXY")?;
        let sound =
            pixels.iter().all(|&n| (1.0..1e6).contains(&n)) && size.iter().all(|&n| n > 0.0);
        sound.then_some(Self {
            centre_deg: pair("centerXY")?,
            size_deg: size,
            pixels: pixels.map(|n| n as usize),
        })
    }
}

/// A value, or each value of a list: MATLAB writes lists of one without brackets.
fn items(json: &Value) -> &[Value] {
    match json {
        Value::Array(list) => list,
        Value::Null => &[],
        other => std::slice::from_ref(other),
    }
}

/// The imaging ROIs, wherever this version of ScanImage puts them.
fn rois(groups: &Value) -> &[Value] {
    let group = groups
        .pointer("/RoiGroups/imagingRoiGroup")
        .or_else(|| groups.get("imagingRoiGroup"))
        .unwrap_or(&Value::Null);
    // Several groups stand in a list; the first is the one that is imaged.
    let group = items(group).first().unwrap_or(&Value::Null);
    let rois = items(group.get("rois").unwrap_or(&Value::Null));
    &rois[..rois.len().min(MOST_FIELDS)]
}

/// The first region at its first depth.
pub(crate) fn first_scanfield(groups: &Value) -> Option<Scanfield> {
    let roi = rois(groups).first()?;
    Scanfield::parse(items(roi.get("scanfields")?).first()?)
}

/// The regions that are scanned at depth `z`, in their order.
fn scanfields(groups: &Value, z: f64) -> Vec<Scanfield> {
    rois(groups)
        .iter()
        .filter(|roi| roi.get("enable").is_none_or(|e| e != 0 && e != false))
        .filter_map(|roi| scanfield_at(roi, z))
        .collect()
}

fn scanfield_at(roi: &Value, z: f64) -> Option<Scanfield> {
    let fields: Vec<Scanfield> = items(roi.get("scanfields")?)
        .iter()
        .map(Scanfield::parse)
        .collect::<Option<_>>()?;
    let depths: Vec<f64> = items(roi.get("zs").unwrap_or(&Value::Null))
        .iter()
        .filter_map(Value::as_f64)
        .collect();
    let discrete = roi
        .get("discretePlaneMode")
        .is_some_and(|mode| *mode == 1 || *mode == true);
    if depths.len() != fields.len() {
        return fields.first().copied();
    }
    let mut planes: Vec<(f64, Scanfield)> = depths.into_iter().zip(fields).collect();
    planes.sort_by(|a, b| a.0.total_cmp(&b.0));
    if let Some(exact) = planes.iter().find(|plane| plane.0 == z) {
        return Some(exact.1);
    }
    if discrete {
        return None;
    }
    // A region of one depth reaches through all; others end with their depths.
    if let [(_, only)] = planes[..] {
        return Some(only);
    }
    let after = planes.iter().position(|plane| plane.0 > z)?;
    let before = after.checked_sub(1)?;
    let ((z0, a), (z1, b)) = (planes[before], planes[after]);
    Some(a.towards(&b, (z - z0) / (z1 - z0)))
}

/// Lines between strips, from time and from what is left of the page.
fn gap(settings: &ScanImage, fields: &[Scanfield], rows: usize) -> Result<usize, Error> {
    let used: usize = fields.iter().map(|field| field.pixels[0]).sum();
    let between = fields.len() - 1;
    let left = rows.checked_sub(used).ok_or_else(|| {
        Error::Contradiction(format!(
            "the regions have {used} rows, but the pages have {rows}"
        ))
    })?;
    if between == 0 {
        return Ok(0);
    }
    let by_time = settings
        .flyto_time_s
        .zip(settings.line_period_s)
        .map(|(flyto, line)| (flyto / line).round() as usize);
    let by_rows = left.is_multiple_of(between).then_some(left / between);
    match (by_time, by_rows) {
        (Some(time), Some(rows)) if time == rows => Ok(rows),
        (None, Some(rows)) => Ok(rows),
        (time, _) => Err(Error::Contradiction(format!(
            "the time to fly to the next region takes {} lines, but {left} rows are left between \
             {} regions",
            time.map_or("an unknown number of".into(), |n| n.to_string()),
            fields.len()
        ))),
    }
}

/// Groups of fields that touch and have pixels of one size.
fn touching(fields: &[Scanfield]) -> Vec<Vec<usize>> {
    let joined = |a: &Scanfield, b: &Scanfield| {
        let (pa, pb) = (a.pitch(), b.pitch());
        [0, 1].iter().all(|&axis| {
            let same = (pa[axis] / pb[axis] - 1.0).abs() < 0.01;
            let distance = (a.centre_deg[axis] - b.centre_deg[axis]).abs();
            same && distance
                <= f64::midpoint(a.size_deg[axis], b.size_deg[axis]) + TOUCHING * pa[axis]
        })
    };
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        // All groups that it touches become one, in the place of the first.
        let (mut mine, others): (Vec<_>, Vec<_>) = groups
            .into_iter()
            .partition(|group| group.iter().any(|&k| joined(&fields[k], field)));
        groups = others;
        mine.push(vec![index]);
        let mut all: Vec<usize> = mine.into_iter().flatten().collect();
        all.sort_unstable();
        groups.push(all);
        groups.sort_by_key(|group| group[0]);
    }
    groups
}
