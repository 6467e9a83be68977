use rand_distr::{Beta, Distribution};
use rayon::prelude::*;

use super::FieldsPlan;
use crate::Error;
use crate::cells::{Cell, scatter};
use crate::random::{Domain, stream};

/// All cells that any session can see.
#[derive(Clone, Debug)]
pub(crate) struct Tissue {
    /// One tissue plane after the other, the uppermost first; places are
    /// those of the first session's field.
    pub(crate) cells: Vec<Cell>,
    /// Chance of each cell of being detected in a session.
    pub(crate) chances: Vec<f64>,
    /// First cell of each tissue plane, and the end.
    pub(crate) starts: Vec<usize>,
}

impl Tissue {
    pub(crate) fn draw(plan: &FieldsPlan) -> Result<Self, Error> {
        let planes = plan.tissue_planes();
        let mut starts = vec![0];
        for plane in 0..planes {
            starts.push(starts[plane] + plan.cells_in(plane));
        }
        let rim = plan.rim();
        let (height, width) = plan.tissue_size();
        let apart = plan.spacing * plan.diameter_px;
        let places: Vec<Vec<(f64, f64)>> = (0..planes)
            .into_par_iter()
            .map(|plane| {
                let asked = plan.cells_in(plane);
                let mut rng = stream(plan.seed, Domain::TissuePlaces, 0, plane);
                scatter(&mut rng, asked, (height - 1.0, width - 1.0), apart).map_err(|placed| {
                    Error::Crowded {
                        placed,
                        asked,
                        diameter_px: plan.diameter_px,
                    }
                })
            })
            .collect::<Result<_, _>>()?;
        let (cells, chances) = places
            .concat()
            .into_par_iter()
            .enumerate()
            .map(|(index, (y, x))| {
                let mut rng = stream(plan.seed, Domain::TissueCells, 0, index);
                let cell = Cell::draw(&mut rng, (y - rim, x - rim), plan.diameter_px);
                // Without turnover there is no such distribution.
                let (missed, total) = (plan.turnover, FieldsPlan::DETECTION_CONCENTRATION);
                let chance = Beta::new(total * (1.0 - missed), total * missed)
                    .map_or(1.0, |beta| beta.sample(&mut rng));
                (cell, chance)
            })
            .unzip();
        Ok(Self {
            cells,
            chances,
            starts,
        })
    }
}
