use ndarray::Array2;

use super::super::context::{Context, Window};
use super::super::population::outside;
use super::places::Places;

/// Mean activity of a session's cells over each quarter of its trials.
///
/// Every fourth trial of a label goes into the same quarter, so that slow
/// change within the session falls on all alike. Four are needed so that cells
/// can be chosen on two and judged on two others.
#[derive(Debug)]
pub(super) struct Quarters {
    /// `(member, label × time bin)`.
    pub(super) means: [Array2<f32>; 4],
    /// Time bins of each label.
    pub(super) bins: usize,
    /// Middle of each time bin, seconds.
    pub(super) time_s: Vec<f64>,
    /// Fewest trials of a label in a quarter.
    pub(super) trials: usize,
}

impl Quarters {
    /// Of all trials if `variable` is empty.
    pub(super) fn new(
        context: &Context<'_>,
        window: &Window<'_>,
        places: &Places,
        session: usize,
        variable: &str,
    ) -> Result<Self, String> {
        let bins = &window.bins[session];
        if bins.is_empty() {
            return Err(outside(session));
        }
        let data = &context.sessions[session];
        let conditions = if variable.is_empty() {
            vec![(0..data.activity.dim().0).collect()]
        } else {
            let classes = context.classes(variable);
            if let Some(reason) = context.shortage(session, variable, &classes) {
                return Err(reason);
            }
            context.members(session, variable, &classes)
        };
        let fewest = conditions.iter().map(Vec::len).min().unwrap_or(0);
        if fewest < 4 {
            return Err(format!(
                "session {} has {fewest} trials of a label; four quarters need 4",
                session + 1
            ));
        }
        let members = places.members(session);
        let shape = (members.len(), conditions.len() * bins.len());
        let means = [0, 1, 2, 3].map(|quarter| {
            let mut out = Array2::<f32>::zeros(shape);
            for (k, trials) in conditions.iter().enumerate() {
                let trials: Vec<usize> = trials.iter().copied().skip(quarter).step_by(4).collect();
                for &trial in &trials {
                    let activity = data.activity.index_axis(ndarray::Axis(0), trial);
                    for (mut row, member) in out.rows_mut().into_iter().zip(members) {
                        let course = activity.index_axis(ndarray::Axis(0), member.index);
                        for (b, bins) in bins.iter().enumerate() {
                            let sum: f32 = bins.iter().map(|&bin| course[bin]).sum();
                            row[k * window.bins[session].len() + b] +=
                                sum / (bins.len() * trials.len()) as f32;
                        }
                    }
                }
            }
            out
        });
        let middle = |bins: &Vec<usize>| {
            bins.iter().map(|&b| data.time_s[b]).sum::<f64>() / bins.len() as f64
        };
        Ok(Self {
            means,
            bins: bins.len(),
            time_s: bins.iter().map(middle).collect(),
            trials: fewest / 4,
        })
    }

    /// Means over the first and third and over the second and fourth quarter
    /// of one cell.
    pub(super) fn halves(&self, member: usize) -> [Vec<f64>; 2] {
        [0, 1].map(|from| {
            let (a, b) = (
                self.means[from].row(member),
                self.means[from + 2].row(member),
            );
            a.iter()
                .zip(b)
                .map(|(&a, &b)| f64::midpoint(f64::from(a), f64::from(b)))
                .collect()
        })
    }

    /// One cell's course in a quarter for one label.
    pub(super) fn course(&self, quarter: usize, member: usize, label: usize) -> Vec<f64> {
        self.means[quarter]
            .row(member)
            .iter()
            .skip(label * self.bins)
            .take(self.bins)
            .map(|&v| f64::from(v))
            .collect()
    }
}
