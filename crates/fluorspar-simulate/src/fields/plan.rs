use crate::Error;
use crate::check::{fraction, real, size, whole, wrong};
use crate::plan::BYTES;

/// ROIs of many sessions of one tissue, without movies. [`Default`] is of
/// moderate difficulty: five sessions, about three hundred cells in one field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldsPlan {
    /// Number of sessions, 1 to 1,000.
    pub sessions: usize,
    /// Cells in the field of one session, all planes together. More lie in
    /// the rim around it and in planes above and below, at the same density.
    /// Circles of `spacing · diameter_px` that do not overlap must be able to
    /// find places at random: they may cover about half of the planes.
    pub cells: usize,
    /// Planes of a session's stack, 1 to 1,000.
    pub planes: usize,
    /// Rows of a plane (pixels), 32 to 8,192.
    pub height: usize,
    /// Columns of a plane (pixels), 32 to 8,192.
    pub width: usize,
    /// Everything random follows from this number.
    pub seed: u64,
    /// Mean diameter of a cell (pixels).
    pub diameter_px: f64,
    /// Centres of one plane lie at least this many diameters apart: at 1.05
    /// neighbours touch, at 0.8 they overlap.
    pub spacing: f64,
    /// Each cell's own displacement in each session, standard deviation per axis (pixels).
    pub jitter_px: f64,
    /// How much a ROI differs from session to session, 0 to 1: at 1 its radius
    /// and its outline vary by a quarter, its weights by a half.
    /// Two aligned ROIs of a cell of 10 pixels then overlap by 0.89 at 0.15,
    /// 0.79 at 0.3, 0.63 at 0.6 and 0.48 at 1 (mean intersection over union).
    pub shape_noise: f64,
    /// Share of ROIs that are only a part of their cell: cut off along a line.
    pub fragment_fraction: f64,
    /// Share of the cells in view that are not detected in a session, at most
    /// 0.95. Each cell has a chance of its own, from a Beta distribution about
    /// this mean (of concentration [`FieldsPlan::DETECTION_CONCENTRATION`]);
    /// sessions are independent.
    pub turnover: f64,
    /// Share of pairs of detected neighbours, centres nearer than
    /// [`FieldsPlan::CLOSE_DIAMETERS`] diameters, that are one ROI.
    pub merge_fraction: f64,
    /// Largest shift of the field against the first session's, per axis (pixels).
    pub shift_px: f64,
    /// Largest turn of the field about its centre, either way (degrees).
    pub rotation_deg: f64,
    /// Largest relative growth or shrinkage of the field.
    pub scale: f64,
    /// Root mean square per axis of the tissue's smooth deformation over the
    /// field, drawn anew each session (pixels); at most 0.15 of its length,
    /// so that tissue does not fold.
    pub warp_px: f64,
    /// Length `L` of the deformation (pixels): its correlation over a distance
    /// `r` is `exp(−r²/2L²)`.
    pub warp_length_px: f64,
    /// Largest displacement of a session's stack along the optical axis
    /// (planes), 0 to `planes − 1`.
    pub axial_planes: i32,
    /// Share of ROIs that are no cell: blobs anywhere, at most 0.9.
    pub false_rois: f64,
    /// Whether to make mean images.
    pub mean_images: bool,
    /// Light of a median cell in the mean image; the neuropil about it is 1.
    pub cell_contrast: f64,
    /// Loss of light in the corners of the mean image, relative to the centre.
    pub vignetting: f64,
    /// Mean images differ in brightness between sessions by up to this, relative.
    pub brightness_range: f64,
    /// Standard deviation of the mean image's noise where its light is 1; it
    /// grows as the root of the light.
    pub image_noise: f64,
}

impl Default for FieldsPlan {
    fn default() -> Self {
        Self {
            sessions: 5,
            cells: 300,
            planes: 1,
            height: 256,
            width: 256,
            seed: 1,
            diameter_px: 10.0,
            spacing: 1.05,
            jitter_px: 0.7,
            shape_noise: 0.3,
            fragment_fraction: 0.03,
            turnover: 0.2,
            merge_fraction: 0.02,
            shift_px: 8.0,
            rotation_deg: 2.0,
            scale: 0.01,
            warp_px: 2.0,
            warp_length_px: 100.0,
            axial_planes: 0,
            false_rois: 0.05,
            mean_images: true,
            cell_contrast: 0.8,
            vignetting: 0.3,
            brightness_range: 0.1,
            image_noise: 0.05,
        }
    }
}

impl FieldsPlan {
    /// `α + β` of the Beta distribution of the cells' chances: at a turnover
    /// of 0.2 their standard deviation is 0.18.
    pub const DETECTION_CONCENTRATION: f64 = 4.0;
    /// Cells whose centres are nearer than so many diameters may be merged.
    pub const CLOSE_DIAMETERS: f64 = 1.3;

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Plan`] names the first field that is out of range or not a
    /// number; [`Error::TooLarge`] if the sessions would not fit in memory.
    pub fn validate(&self) -> Result<(), Error> {
        whole("sessions", self.sessions, 1, 1_000)?;
        whole("cells", self.cells, 1, 10_000_000)?;
        whole("planes", self.planes, 1, 1_000)?;
        whole("height", self.height, 32, 8_192)?;
        whole("width", self.width, 32, 8_192)?;
        let side = self.height.min(self.width) as f64;
        real("diameter_px", self.diameter_px, 3.0, side / 4.0)?;
        real("spacing", self.spacing, 0.0, 100.0)?;
        real("jitter_px", self.jitter_px, 0.0, self.diameter_px)?;
        fraction("shape_noise", self.shape_noise)?;
        fraction("fragment_fraction", self.fragment_fraction)?;
        real("turnover", self.turnover, 0.0, 0.95)?;
        fraction("merge_fraction", self.merge_fraction)?;
        real("shift_px", self.shift_px, 0.0, side)?;
        real("rotation_deg", self.rotation_deg, 0.0, 45.0)?;
        real("scale", self.scale, 0.0, 0.2)?;
        real("warp_length_px", self.warp_length_px, 4.0, 1e5)?;
        real("warp_px", self.warp_px, 0.0, 0.15 * self.warp_length_px)?;
        let most = self.planes as i32 - 1;
        if !(0..=most).contains(&self.axial_planes) {
            return Err(wrong(
                "axial_planes",
                self.axial_planes.to_string(),
                format!("from 0 to {most}, one less than the planes"),
            ));
        }
        real("false_rois", self.false_rois, 0.0, 0.9)?;
        real("cell_contrast", self.cell_contrast, 0.0, 100.0)?;
        fraction("vignetting", self.vignetting)?;
        real("brightness_range", self.brightness_range, 0.0, 0.99)?;
        real("image_noise", self.image_noise, 0.0, 10.0)?;
        size(self.bytes(), BYTES)
    }

    /// Bytes that built sessions keep, about: footprints, mean images, and
    /// each cell's state.
    pub fn bytes(&self) -> u128 {
        let area = std::f64::consts::FRAC_PI_4 * self.diameter_px.powi(2);
        let rois = self.cells as f64 / (1.0 - self.false_rois);
        let images = if self.mean_images {
            4.0 * (self.planes * self.height * self.width) as f64
        } else {
            0.0
        };
        let cells = self.tissue_cells() as f64 * 17.0;
        ((rois * 8.0 * area + images + cells) * self.sessions as f64) as u128
    }

    /// Planes of the tissue: those of the first session and as many above and
    /// below as sessions reach.
    pub(crate) fn tissue_planes(&self) -> usize {
        self.planes + 2 * self.axial_planes as usize
    }

    /// How far the tissue reaches beyond the first session's field (pixels).
    pub(crate) fn rim(&self) -> f64 {
        let half = (self.height as f64).hypot(self.width as f64) / 2.0;
        let turned = half * (1.0 + self.rotation_deg.to_radians());
        let reach = (turned + self.shift_px + 4.0 * self.warp_px) / (1.0 - self.scale);
        (reach - half + 4.0 * self.jitter_px + self.diameter_px).ceil()
    }

    /// Rows and columns of the tissue (pixels).
    pub(crate) fn tissue_size(&self) -> (f64, f64) {
        let rim = 2.0 * self.rim();
        (self.height as f64 + rim, self.width as f64 + rim)
    }

    /// Cells of tissue plane `plane`, counted from the uppermost.
    pub(crate) fn cells_in(&self, plane: usize) -> usize {
        let planes = self.planes as i64;
        let inside = (plane as i64 - i64::from(self.axial_planes)).rem_euclid(planes) as usize;
        let before = |p: usize| self.cells * p / self.planes;
        let (height, width) = self.tissue_size();
        let growth = height * width / (self.height * self.width) as f64;
        ((before(inside + 1) - before(inside)) as f64 * growth).round() as usize
    }

    fn tissue_cells(&self) -> usize {
        (0..self.tissue_planes())
            .map(|plane| self.cells_in(plane))
            .sum()
    }
}
