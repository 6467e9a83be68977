//! Pages that hold several strips: ScanImage's regions, put together into fields.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fluorspar_movie::{ArrayMovie, Mosaic, Movie, Piece};
use fluorspar_register::{Seam, line_offset, seam};
use fluorspar_tiff::{MroiLayout, ScanImage, Strip};
use ndarray::{Array2, Array3, ArrayView2, Axis, Slice};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Context;
use crate::{Error, disk};

/// Most pages that offsets and seams are found in.
const SAMPLE: usize = 48;
/// Most bytes of them.
const MEMORY: usize = 256 << 20;
/// Strips whose borders are as close as this, pixels, are neighbours.
const TOUCHING: usize = 2;
/// Fewest pixels along a border that neighbours share.
const SHARED: usize = 32;

/// What the settings of a recording say about the strips of its pages; `None`
/// if a page is one image.
///
/// # Errors
/// [`Error::Stage`] if settings and pages contradict each other.
pub(crate) fn layout(
    settings: &ScanImage,
    page: [usize; 2],
    place: &Path,
) -> Result<Option<MroiLayout>, Error> {
    if !settings.multiple_rois {
        return Ok(None);
    }
    let at = |z: f64| {
        MroiLayout::new(settings, z, page).at(format!(
            "{}: the settings name several regions (--whole-pages takes pages as they are)",
            place.display()
        ))
    };
    let layout = at(settings.depths.first().copied().unwrap_or(0.0))?;
    if settings.planes > 1 {
        for &z in settings.depths.iter().skip(1) {
            if at(z)? != layout {
                return Err(Error::bad_data(
                    place,
                    "the regions are not the same at all depths; convert each plane to its own \
                     movie first",
                ));
            }
        }
    }
    let [strip] = &layout.strips[..] else {
        return Ok(Some(layout));
    };
    let whole = strip.rows.len() == page[0] && strip.columns == page[1];
    Ok((!whole).then_some(layout))
}

/// One sentence on how pages are understood.
pub(crate) fn in_words(layout: &MroiLayout) -> String {
    let sizes: Vec<String> = layout
        .fields
        .iter()
        .map(|[height, width]| format!("{height} × {width} px"))
        .collect();
    let plural = |count: usize, word: &str| {
        let end = if count == 1 { "" } else { "s" };
        format!("{count} {word}{end}")
    };
    format!(
        "pages of {} × {} px hold {} with {} between them, which make up {} of {}",
        layout.page[0],
        layout.page[1],
        plural(layout.strips.len(), "strip"),
        plural(layout.gap, "flyback line"),
        plural(layout.fields.len(), "field"),
        sizes.join(", ")
    )
}

/// A field of a recording, as a movie and in words.
pub(crate) struct Field {
    pub(crate) movie: Box<dyn Movie>,
    pub(crate) account: Account,
}

/// `strips.json`: how a field was put together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    /// The sentence for the user.
    pub(crate) understood: String,
    /// Which field of the page this is, from 1.
    field: usize,
    page: [usize; 2],
    flyback_lines: usize,
    size: [usize; 2],
    pixel_size_um: Option<[f64; 2]>,
    /// What stands where no strip lies.
    fill: f32,
    strips: Vec<Laid>,
    seams: serde_json::Value,
}

/// A strip and where it was laid.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Laid {
    first_row: usize,
    rows: usize,
    columns: usize,
    place: [usize; 2],
    /// How far its odd lines lie to the right of its even ones.
    line_offset_px: f32,
    /// By how much they were moved back.
    moved_px: i32,
}

impl Account {
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        let text = format!("{:#}\n", json!(self));
        disk::write(&folder.join("strips.json"), text.as_bytes())
    }

    /// That of an earlier registration, beside its `motion.zarr`.
    fn beside(motion: &Path) -> Result<Self, Error> {
        let path = motion.with_file_name("strips.json");
        let text = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        serde_json::from_slice(&text).map_err(|e| Error::bad_data(&path, e.to_string()))
    }
}

/// The fields of `pages`, each a movie that is put together as it is read.
///
/// Odd lines of each strip are moved by whole pixels: by `offset` if it is
/// given, as `motion` (one `motion.zarr` per field) says if those are given,
/// and otherwise by what is found in pages evenly spread.
///
/// # Errors
/// [`Error::Stage`] if pages cannot be read, [`Error::Io`] or
/// [`Error::BadData`] for the account beside a motion.
pub(crate) fn fields(
    pages: Box<dyn Movie>,
    layout: &MroiLayout,
    offset: Option<f32>,
    motion: &[PathBuf],
) -> Result<Vec<Field>, Error> {
    let pages: Arc<dyn Movie> = Arc::from(pages);
    let sample = sample(&*pages)?;
    let count = layout.fields.len();
    (0..count)
        .map(|field| {
            let strips: Vec<&Strip> = layout.strips.iter().filter(|s| s.field == field).collect();
            let earlier = motion.get(field).map(|path| Account::beside(path));
            let earlier = earlier.transpose()?;
            let mut laid: Vec<Laid> = Vec::new();
            for (k, strip) in strips.iter().enumerate() {
                let found = match (&earlier, offset) {
                    (Some(earlier), _) => earlier
                        .strips
                        .get(k)
                        .filter(|old| {
                            (old.first_row, old.rows) == (strip.rows.start, strip.rows.len())
                        })
                        .map(|old| old.line_offset_px)
                        .ok_or_else(|| {
                            Error::Usage(format!(
                                "the motion given is that of other strips than those of field {}",
                                field + 1
                            ))
                        })?,
                    (None, Some(given)) => given,
                    (None, None) => {
                        let rows = Slice::from(strip.rows.clone());
                        let columns = Slice::from(..strip.columns);
                        let frames = sample.slice_axis(Axis(1), rows);
                        let frames = frames.slice_axis(Axis(2), columns);
                        line_offset(frames, 0..strip.rows.len())
                    }
                };
                laid.push(Laid {
                    first_row: strip.rows.start,
                    rows: strip.rows.len(),
                    columns: strip.columns,
                    place: strip.place,
                    line_offset_px: found,
                    moved_px: found.round() as i32,
                });
            }
            let pieces: Vec<Piece> = laid.iter().map(Laid::piece).collect();
            let means = means(&sample, &pieces)?;
            let fill = fill(&means);
            let moved: Vec<i32> = laid.iter().map(|strip| strip.moved_px).collect();
            let (least, most) = (moved.iter().min(), moved.iter().max());
            let of = if count > 1 {
                format!(" of field {}", field + 1)
            } else {
                String::new()
            };
            let lines = match (least, most) {
                (Some(0), Some(0)) | (None, _) | (_, None) => format!("; no line{of} is moved"),
                (Some(a), Some(b)) if a == b => {
                    format!("; odd lines{of} are moved to the left by {a} px")
                }
                (Some(a), Some(b)) => {
                    format!("; odd lines{of} are moved to the left by {a} to {b} px")
                }
            };
            let (seams, wrong) = seams(&laid, &means);
            let understood = in_words(layout) + &lines + &wrong.unwrap_or_default();
            let size = layout.fields[field];
            let movie = Mosaic::new(Arc::clone(&pages), size, pieces, fill).at("strips")?;
            Ok(Field {
                movie: Box::new(movie),
                account: Account {
                    understood,
                    field: field + 1,
                    page: layout.page,
                    flyback_lines: layout.gap,
                    size,
                    pixel_size_um: layout.pixel_size_um.get(field).copied().flatten(),
                    fill,
                    strips: laid,
                    seams,
                },
            })
        })
        .collect()
}

impl Laid {
    fn piece(&self) -> Piece {
        Piece {
            rows: self.first_row..self.first_row + self.rows,
            columns: 0..self.columns,
            place: self.place,
            line_offset: self.moved_px,
        }
    }
}

/// Pages evenly spread, planes one after the other as if they were frames.
fn sample(pages: &dyn Movie) -> Result<Array3<f32>, Error> {
    let shape = pages.shape();
    let length = shape.frame_len();
    let most = (MEMORY / (4 * length).max(1)).clamp(1, SAMPLE);
    let count = most.min(shape.frames);
    let mut out = vec![0.0; count * length];
    for (k, slot) in out.chunks_exact_mut(length.max(1)).enumerate() {
        let at = k * shape.frames / count;
        pages.read(at..at + 1, slot).at("the movie")?;
    }
    Array3::from_shape_vec((count * shape.planes, shape.height, shape.width), out).at("the movie")
}

/// The mean image of each strip, its odd lines moved back.
fn means(sample: &Array3<f32>, pieces: &[Piece]) -> Result<Vec<Array2<f32>>, Error> {
    let Some(mean) = sample.mean_axis(Axis(0)) else {
        return Err(Error::Usage("the movie has no frames".into()));
    };
    let whole = ArrayMovie::new(mean.insert_axis(Axis(0)));
    pieces
        .iter()
        .map(|piece| {
            let size = [piece.rows.len(), piece.columns.len()];
            let alone = Piece {
                place: [0, 0],
                ..piece.clone()
            };
            let strip = Mosaic::new(&whole, size, vec![alone], 0.0).at("strips")?;
            let mut out = Array2::zeros((size[0], size[1]));
            if let Some(pixels) = out.as_slice_mut() {
                strip.read(0..1, pixels).at("strips")?;
            }
            Ok(out)
        })
        .collect()
}

/// A usual brightness, so that what is empty has no hard border.
fn fill(means: &[Array2<f32>]) -> f32 {
    let (mut sum, mut count) = (0.0, 0.0);
    for &value in means.iter().flatten().filter(|v| v.is_finite()) {
        sum += f64::from(value);
        count += 1.0;
    }
    if count > 0.0 {
        (sum / count) as f32
    } else {
        0.0
    }
}

/// How neighbours lie beside each other, and a remark if that is not as the
/// settings say.
fn seams(laid: &[Laid], means: &[Array2<f32>]) -> (serde_json::Value, Option<String>) {
    let mut out = Vec::new();
    let mut clear = Vec::new();
    for (i, a) in laid.iter().enumerate() {
        for (j, b) in laid.iter().enumerate() {
            for axis in [1, 0] {
                let Some((nominal, found)) = between((a, &means[i]), (b, &means[j]), axis) else {
                    continue;
                };
                let gap = found.gap - nominal as f32;
                if found.is_clear() && gap.abs() >= 0.5 {
                    clear.push(gap);
                }
                out.push(json!({
                    "strips": [i, j],
                    "axis": if axis == 1 { "x" } else { "y" },
                    "missing_px": gap,
                    "error_px": found.error,
                    "correlation": found.correlation,
                }));
            }
        }
    }
    clear.sort_by(f32::total_cmp);
    let remark = clear.get(clear.len() / 2).map(|gap| {
        let (count, all) = (clear.len(), out.len());
        if *gap < 0.0 {
            format!(
                "; at {count} of {all} seams about {:.1} lines are shown twice",
                -gap
            )
        } else {
            format!("; at {count} of {all} seams about {gap:.1} lines are missing")
        }
    });
    (out.into(), remark)
}

/// The seam between `a` and its neighbour `b` to the right (axis 1) or below
/// (axis 0), and the gap that the placement leaves there; `None` if they are
/// no neighbours or have no structure.
fn between(
    (a, mean_a): (&Laid, &Array2<f32>),
    (b, mean_b): (&Laid, &Array2<f32>),
    axis: usize,
) -> Option<(isize, Seam)> {
    let other = 1 - axis;
    let size = |strip: &Laid| [strip.rows, strip.columns];
    let nominal = b.place[axis] as isize - (a.place[axis] + size(a)[axis]) as isize;
    if nominal.unsigned_abs() > TOUCHING || b.place[axis] <= a.place[axis] {
        return None;
    }
    let first = a.place[other].max(b.place[other]);
    let end = (a.place[other] + size(a)[other]).min(b.place[other] + size(b)[other]);
    if end < first + SHARED {
        return None;
    }
    let part = |strip: &Laid, mean: &'_ Array2<f32>| -> Array2<f32> {
        let from = first - strip.place[other];
        let shared = mean.slice_axis(Axis(other), Slice::from(from..from + (end - first)));
        let turned: ArrayView2<'_, f32> = if axis == 1 {
            shared
        } else {
            shared.reversed_axes()
        };
        turned.to_owned()
    };
    let found = seam(part(a, mean_a).view(), part(b, mean_b).view())?;
    Some((nominal, found))
}
