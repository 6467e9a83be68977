use crate::Error;

/// The footprints of one session's ROIs: sparse weights over pixels in
/// compressed rows, one row per ROI.
///
/// A pixel's index is `y · width + x`; indices ascend within a row; the
/// largest weight of every footprint is 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Footprints {
    height: usize,
    width: usize,
    indptr: Vec<u64>,
    indices: Vec<u32>,
    weights: Vec<f32>,
    planes: Vec<u32>,
}

/// One ROI's footprint, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Footprint<'a> {
    /// Flat pixel indices `y · width + x`, ascending.
    pub indices: &'a [u32],
    /// Weights, positive, largest 1.
    pub weights: &'a [f32],
    /// The plane it lies in.
    pub plane: u32,
}

impl Footprints {
    /// No ROIs yet, in an image of `height × width` pixels.
    pub fn new(height: usize, width: usize) -> Self {
        Self {
            height,
            width,
            indptr: vec![0],
            indices: Vec::new(),
            weights: Vec::new(),
            planes: Vec::new(),
        }
    }

    /// Takes compressed rows: `indptr` (roi + 1), `indices` and `weights`
    /// (non-zero), `plane` (roi).
    ///
    /// # Errors
    /// [`Error::BadData`] if the arrays disagree in length, an index leaves
    /// the image or does not ascend, a footprint is empty, or a weight is
    /// not positive and finite.
    pub fn from_csr(
        height: usize,
        width: usize,
        indptr: Vec<u64>,
        indices: Vec<u32>,
        mut weights: Vec<f32>,
        plane: Vec<u32>,
    ) -> Result<Self, Error> {
        let bad = |reason: String| Error::bad_data("footprints", reason);
        if indptr.len() != plane.len() + 1 || indptr[0] != 0 {
            return Err(bad(format!(
                "indptr has {} entries for {} ROIs",
                indptr.len(),
                plane.len()
            )));
        }
        if indices.len() != weights.len() || indptr.last() != Some(&(indices.len() as u64)) {
            return Err(bad(format!(
                "{} indices, {} weights and a last indptr of {:?} do not belong together",
                indices.len(),
                weights.len(),
                indptr.last()
            )));
        }
        for (roi, row) in indptr.windows(2).enumerate() {
            let range = (row[0] <= row[1])
                .then(|| row[0] as usize..row[1] as usize)
                .filter(|range| range.end <= indices.len())
                .ok_or_else(|| bad(format!("indptr decreases at ROI {roi}")))?;
            check(
                roi,
                &indices[range.clone()],
                &weights[range.clone()],
                height * width,
            )?;
            rescale(&mut weights[range]);
        }
        Ok(Self {
            height,
            width,
            indptr,
            indices,
            weights,
            planes: plane,
        })
    }

    /// Adds a ROI; its weights are rescaled to a maximum of 1.
    ///
    /// # Errors
    /// [`Error::BadData`] if the footprint is empty, an index leaves the image
    /// or does not ascend, or a weight is not positive and finite.
    pub fn push(&mut self, indices: &[u32], weights: &[f32], plane: u32) -> Result<(), Error> {
        check(self.len(), indices, weights, self.height * self.width)?;
        let start = self.weights.len();
        self.indices.extend_from_slice(indices);
        self.weights.extend_from_slice(weights);
        rescale(&mut self.weights[start..]);
        self.indptr.push(self.indices.len() as u64);
        self.planes.push(plane);
        Ok(())
    }

    /// Number of ROIs.
    pub fn len(&self) -> usize {
        self.planes.len()
    }

    /// Whether there are no ROIs.
    pub fn is_empty(&self) -> bool {
        self.planes.is_empty()
    }

    /// Rows of the image, pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns of the image, pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The footprint of `roi`.
    ///
    /// # Panics
    /// If `roi >= len()`, like indexing a slice.
    pub fn get(&self, roi: usize) -> Footprint<'_> {
        let range = self.indptr[roi] as usize..self.indptr[roi + 1] as usize;
        Footprint {
            indices: &self.indices[range.clone()],
            weights: &self.weights[range],
            plane: self.planes[roi],
        }
    }

    /// All footprints in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Footprint<'_>> {
        (0..self.len()).map(|roi| self.get(roi))
    }

    /// Weighted centre `(y, x)` of `roi` in pixels.
    ///
    /// # Panics
    /// If `roi >= len()`, like indexing a slice.
    pub fn centroid(&self, roi: usize) -> (f64, f64) {
        let footprint = self.get(roi);
        let (mut y, mut x, mut total) = (0.0, 0.0, 0.0);
        for (&index, &weight) in footprint.indices.iter().zip(footprint.weights) {
            let weight = f64::from(weight);
            y += weight * (index as usize / self.width) as f64;
            x += weight * (index as usize % self.width) as f64;
            total += weight;
        }
        (y / total, x / total)
    }

    /// Row boundaries, `roi + 1` entries.
    pub fn indptr(&self) -> &[u64] {
        &self.indptr
    }

    /// Pixel indices of all rows, one after the other.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// Weights of all rows, one after the other.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The plane of each ROI.
    pub fn planes(&self) -> &[u32] {
        &self.planes
    }

    /// The chosen ROIs in the order given.
    ///
    /// # Panics
    /// If an index is `>= len()`, like indexing a slice.
    #[must_use]
    pub fn select(&self, rois: &[usize]) -> Self {
        let mut out = Self::new(self.height, self.width);
        for &roi in rois {
            let footprint = self.get(roi);
            out.indices.extend_from_slice(footprint.indices);
            out.weights.extend_from_slice(footprint.weights);
            out.indptr.push(out.indices.len() as u64);
            out.planes.push(footprint.plane);
        }
        out
    }
}

fn check(roi: usize, indices: &[u32], weights: &[f32], pixels: usize) -> Result<(), Error> {
    let bad = |reason: String| Error::bad_data(format!("footprint of ROI {roi}"), reason);
    if indices.is_empty() || indices.len() != weights.len() {
        return Err(bad(format!(
            "has {} pixels and {} weights",
            indices.len(),
            weights.len()
        )));
    }
    if indices.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(bad("pixel indices do not ascend".into()));
    }
    if indices[indices.len() - 1] as usize >= pixels {
        return Err(bad(format!(
            "a pixel lies outside the image of {pixels} pixels"
        )));
    }
    if weights.iter().any(|w| !(w.is_finite() && *w > 0.0)) {
        return Err(bad("a weight is not positive and finite".into()));
    }
    Ok(())
}

/// Scales positive weights to a maximum of 1.
fn rescale(weights: &mut [f32]) {
    let largest = weights.iter().copied().fold(0.0, f32::max);
    for weight in weights {
        *weight /= largest;
    }
}

/// Intersection over union of two supports, 0 to 1; 0 across planes.
pub fn iou(a: Footprint<'_>, b: Footprint<'_>) -> f64 {
    if a.plane != b.plane {
        return 0.0;
    }
    let (mut i, mut j, mut shared) = (0, 0, 0_usize);
    while i < a.indices.len() && j < b.indices.len() {
        match a.indices[i].cmp(&b.indices[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                shared += 1;
                i += 1;
                j += 1;
            }
        }
    }
    let union = a.indices.len() + b.indices.len() - shared;
    if union == 0 {
        0.0
    } else {
        shared as f64 / union as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footprint_keeps_its_centre_and_is_scaled_to_one() {
        let mut all = Footprints::new(4, 5);
        all.push(&[6, 8], &[2.0, 6.0], 0).unwrap();
        assert_eq!(all.get(0).weights, [1.0 / 3.0, 1.0]);
        let (y, x) = all.centroid(0);
        assert!((y - 1.0).abs() < 1e-6 && (x - 2.5).abs() < 1e-6);
    }

    #[test]
    fn bad_footprints_are_refused() {
        let mut all = Footprints::new(2, 2);
        assert!(all.push(&[], &[], 0).is_err());
        assert!(all.push(&[4], &[1.0], 0).is_err());
        assert!(all.push(&[1, 1], &[1.0, 1.0], 0).is_err());
        assert!(all.push(&[0], &[f32::NAN], 0).is_err());
        assert!(all.push(&[0], &[0.0], 0).is_err());
        assert!(Footprints::from_csr(2, 2, vec![0, 2], vec![1], vec![1.0], vec![0]).is_err());
        assert!(Footprints::from_csr(2, 2, vec![0], vec![], vec![], vec![0]).is_err());
        assert!(Footprints::from_csr(2, 2, vec![0, 9, 1], vec![1], vec![1.0], vec![0, 0]).is_err());
        assert_eq!(all.len(), 0);
    }

    #[test]
    fn overlap_counts_shared_pixels() {
        let mut all = Footprints::new(2, 4);
        all.push(&[0, 1, 2], &[1.0; 3], 0).unwrap();
        all.push(&[1, 2, 3], &[1.0; 3], 0).unwrap();
        all.push(&[1, 2, 3], &[1.0; 3], 1).unwrap();
        assert!((iou(all.get(0), all.get(1)) - 0.5).abs() < 1e-12);
        assert_eq!(iou(all.get(0), all.get(2)), 0.0);
    }
}
