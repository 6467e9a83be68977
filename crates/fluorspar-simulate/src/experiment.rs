use fluorspar_movie::Footprints;

use crate::cells::{self, Cell, OUTLINE};
use crate::random::{Domain, normal, stream};
use crate::scene::{self, Scene};
use crate::texture::vignette;
use crate::truth::{CellState, SessionTruth, Truth};
use crate::{Epoch, Error, Plan, SessionMovie, TrialRecord, activity, code, motion, task};

/// A simulated experiment: movies rendered on demand, trial tables and the truth.
#[derive(Clone, Debug)]
pub struct Experiment {
    plan: Plan,
    truth: Truth,
    trials: Vec<Vec<TrialRecord>>,
    scenes: Vec<Scene>,
    vignette: Vec<f32>,
}

/// Share of a footprint that must stay in the field for a cell to count as active.
const IN_FIELD: f64 = 0.9;

impl Experiment {
    /// Draws everything but the pixels: cells, codes, trials, spikes, motion.
    ///
    /// # Errors
    /// As [`Plan::validate`]; [`Error::Crowded`] if the cells do not fit into the field.
    pub fn build(plan: &Plan) -> Result<Self, Error> {
        plan.validate()?;
        let cells = cells::place(plan)?;
        let texture = scene::texture(plan);
        let tuning: Vec<_> = Epoch::ALL
            .iter()
            .map(|&epoch| code::tuning(plan, epoch))
            .collect();
        let (mut sessions, mut trials, mut scenes) = (Vec::new(), Vec::new(), Vec::new());
        for session in 0..plan.sessions {
            let table = task::trials(plan, session);
            let mut states = cells::states(plan, session);
            let shift = motion::field_shift(plan, session);
            let centres = centres(plan, session, &cells, shift);
            let spikes = activity::spikes(plan, session, &table, &states, |epoch, cell| {
                tuning[epoch as usize][[cell, session]]
            });
            // A cell whose centre is outside still shows its edge: the scene
            // takes the planted states, the truth those seen from the field.
            let scene = Scene::new(plan, session, &texture, shift, &cells, &centres, &states);
            for (state, &(y, x)) in states.iter_mut().zip(&centres) {
                let inside = (0.0..=plan.height as f64 - 1.0).contains(&y)
                    && (0.0..=plan.width as f64 - 1.0).contains(&x);
                if !inside {
                    *state = CellState::Absent;
                }
            }
            let mut truth = SessionTruth {
                footprints: Footprints::new(plan.height, plan.width),
                cell: Vec::new(),
                active: Vec::new(),
                states,
                field_shift: (shift.0 as f32, shift.1 as f32),
                motion: motion::motion(plan, session),
                dff: activity::calcium(plan, &spikes),
                spikes,
            };
            add_footprints(plan, &cells, &centres, &mut truth)?;
            sessions.push(truth);
            trials.push(table);
            scenes.push(scene);
        }
        Ok(Self {
            truth: Truth {
                days: plan.elapsed_days(),
                sessions,
                centres: cells.iter().map(|cell| (cell.y, cell.x)).collect(),
                drifting_steps: plan.code.drifting_steps,
                tuning,
                expected: Epoch::ALL
                    .iter()
                    .map(|&epoch| code::expected(plan, epoch))
                    .collect(),
            },
            trials,
            scenes,
            vignette: vignette(plan.height, plan.width, plan.optics.vignetting),
            plan: plan.clone(),
        })
    }

    /// The plan it was built from.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Number of sessions.
    pub fn sessions(&self) -> usize {
        self.scenes.len()
    }

    /// The raw movie of session `index`, counted from 0.
    ///
    /// # Panics
    /// If there is no such session, as a slice would.
    pub fn session(&self, index: usize) -> SessionMovie<'_> {
        SessionMovie {
            plan: &self.plan,
            session: index,
            scene: &self.scenes[index],
            truth: &self.truth.sessions[index],
            vignette: &self.vignette,
        }
    }

    /// The trials of session `index`, counted from 0, in the order of time.
    ///
    /// # Panics
    /// If there is no such session, as a slice would.
    pub fn trials(&self, index: usize) -> &[TrialRecord] {
        &self.trials[index]
    }

    /// The trial table of session `index` as the text of a `trials.csv`.
    ///
    /// | column | content |
    /// |---|---|
    /// | `onset_s` | seconds from the start of the first frame, three decimals |
    /// | `odour1` | `A` or `B` |
    /// | `odour2` | `C` or `D` |
    /// | `choice` | `lick` or `withhold` |
    /// | `lick` | the same as 1 or 0 |
    /// | `outcome` | `hit`, `miss`, `correct_rejection` or `false_alarm` |
    ///
    /// # Panics
    /// If there is no such session, as a slice would.
    pub fn trials_csv(&self, index: usize) -> String {
        task::csv(self.trials(index))
    }

    /// What was planted.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }
}

/// Where the cells lie in a session's reference frame.
fn centres(plan: &Plan, session: usize, cells: &[Cell], shift: (f64, f64)) -> Vec<(f64, f64)> {
    cells
        .iter()
        .enumerate()
        .map(|(index, cell)| {
            let mut rng = stream(plan.seed, Domain::Shapes, session + 1, index);
            let jitter = if session == 0 {
                0.0
            } else {
                plan.field.jitter_px
            };
            (
                cell.y + shift.0 + jitter * normal(&mut rng),
                cell.x + shift.1 + jitter * normal(&mut rng),
            )
        })
        .collect()
}

fn add_footprints(
    plan: &Plan,
    cells: &[Cell],
    centres: &[(f64, f64)],
    truth: &mut SessionTruth,
) -> Result<(), Error> {
    let (height, width) = (plan.height as i64, plan.width as i64);
    let inside = |y: i64, x: i64| (0..height).contains(&y) && (0..width).contains(&x);
    for (index, (cell, &(cy, cx))) in cells.iter().zip(centres).enumerate() {
        if truth.states[index] == CellState::Absent {
            continue;
        }
        let mut pixels = cell.pixels(cy, cx);
        pixels.retain(|&(_, _, weight)| weight >= OUTLINE);
        let (indices, weights): (Vec<u32>, Vec<f32>) = pixels
            .iter()
            .filter(|&&(y, x, _)| inside(y, x))
            .map(|&(y, x, weight)| ((y * width + x) as u32, weight))
            .unzip();
        if indices.is_empty() {
            truth.states[index] = CellState::Absent;
            continue;
        }
        truth.footprints.push(&indices, &weights, 0)?;
        truth.cell.push(index as i64);

        let (mut seen, mut all) = (0_u64, 0_u64);
        for &(dy, dx) in truth.motion.iter().step_by(10) {
            let (dy, dx) = (dy.round() as i64, dx.round() as i64);
            let here = pixels.iter().filter(|&&(y, x, _)| inside(y + dy, x + dx));
            seen += here.count() as u64;
            all += pixels.len() as u64;
        }
        let spikes: f64 = truth.spikes.row(index).iter().map(|&n| f64::from(n)).sum();
        truth.active.push(
            truth.states[index] == CellState::Active
                && spikes >= f64::from(plan.activity.active_spikes)
                && seen as f64 >= IN_FIELD * all as f64,
        );
    }
    Ok(())
}
