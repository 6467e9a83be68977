use std::fmt::Write as _;

/// What is told of each ROI: a name and what it means.
const MEANINGS: [(&str, &str); 30] = [
    ("plane", "plane that the ROI lies in, from 0"),
    ("y", "weighted centre, row (pixels)"),
    ("x", "weighted centre, column (pixels)"),
    ("pixels", "pixels of the footprint"),
    ("probability", "probability of being a cell in focus"),
    (
        "snr",
        "height of transients over noise, at bins of the length of a transient",
    ),
    (
        "relative_area",
        "area over that of a disc of the expected diameter",
    ),
    (
        "spread",
        "area of the ellipse with the same second moments over the area",
    ),
    (
        "elongation",
        "how many times longer than wide that ellipse is",
    ),
    (
        "focus",
        "0: falls off like a Gaussian blob, 1: a sharp edge",
    ),
    (
        "stability",
        "correlation of the footprints of the recording's halves",
    ),
    (
        "asymmetry",
        "skewness of changes from bin to bin: above 0 if rises are faster",
    ),
    ("skewness", "skewness of the trace"),
    (
        "duplicate",
        "largest product of overlap and correlation with another ROI",
    ),
    (
        "neuropil_coefficient",
        "share of the surrounding neuropil that is subtracted",
    ),
    ("neuropil_error", "standard error of that share"),
    (
        "neuropil_mean",
        "subtracted neuropil over the mean fluorescence",
    ),
    (
        "neuropil_variance",
        "subtracted neuropil over the variance of the fluorescence",
    ),
    (
        "neighbours",
        "light of overlapping ROIs over the mean fluorescence",
    ),
    (
        "inflation",
        "how many times noisier taking overlaps apart makes the trace",
    ),
    ("noise", "standard deviation of ΔF/F from frame to frame"),
    ("floored", "share of frames in which F0 is its floor"),
    (
        "peak_snr",
        "largest transient over noise after a matched filter",
    ),
    (
        "detectable",
        "smallest peak ΔF/F of a transient that would have been seen",
    ),
    ("decay_s", "decay time of the kernel used for events (s)"),
    ("rise_s", "rise time of that kernel (s)"),
    ("event_noise", "noise of ΔF/F as the deconvolution saw it"),
    (
        "resting_level",
        "level of ΔF/F that the deconvolution took for rest",
    ),
    ("active", "1 if a transient stands out of the noise, else 0"),
    (
        "absent",
        "1 if nothing of the ROI can be seen in this session, else 0",
    ),
];

/// One number per ROI and question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quality {
    columns: Vec<(String, Vec<f32>)>,
}

impl Quality {
    /// What a column means, in a few words.
    pub fn meaning(name: &str) -> Option<&'static str> {
        MEANINGS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, meaning)| *meaning)
    }

    /// Adds a column, or replaces the one of that name.
    pub(crate) fn set(&mut self, name: &str, values: Vec<f32>) {
        match self.columns.iter_mut().find(|(known, _)| known == name) {
            Some(column) => column.1 = values,
            None => self.columns.push((name.into(), values)),
        }
    }

    /// The values of a column `(roi)`, if there is one.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.columns()
            .find(|(known, _)| *known == name)
            .map(|(_, values)| values)
    }

    /// Names and values in the order they are told.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.columns
            .iter()
            .map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// As CSV, one row per ROI, with `is_cell`, its cell and what is flagged.
    pub(crate) fn csv(&self, is_cell: &[bool], cell: &[i32], flags: &[String]) -> String {
        let mut out = String::from("roi,cell,is_cell");
        for (name, _) in self.columns() {
            let _ = write!(out, ",{name}");
        }
        out.push_str(",flags\n");
        for (roi, &counts) in is_cell.iter().enumerate() {
            let _ = write!(out, "{roi},{},{}", cell[roi], u8::from(counts));
            for (_, values) in self.columns() {
                let _ = write!(out, ",{}", values[roi]);
            }
            let _ = writeln!(out, ",{}", flags[roi]);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_row_per_roi() {
        let mut quality = Quality::default();
        quality.set("snr", vec![1.0, 2.5]);
        quality.set("focus", vec![0.0, f32::NAN]);
        quality.set("snr", vec![3.0, 4.5]);
        let text = quality.csv(&[true, false], &[0, 1], &[String::new(), "silent".into()]);
        assert_eq!(
            text,
            "roi,cell,is_cell,snr,focus,flags\n0,0,1,3,0,\n1,1,0,4.5,NaN,silent\n"
        );
        assert!(Quality::meaning("snr").is_some() && Quality::meaning("colour").is_none());
    }
}
