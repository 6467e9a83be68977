//! Statistics of single cells for lines of numbers, to compare with other programs.
//!
//! `selectivity PERMUTATIONS`: labels, then a cell per line; prints index, d′,
//! 2 AUC − 1, η² and the p of each. `order`: two lines; prints Spearman's ρ and
//! Kendall's τ-b. `information`: labels and responses; prints bits. `survival`:
//! durations and whether they ended; prints time, survival and its interval.
#![allow(clippy::print_stdout, reason = "a small tool")]

use std::io::Read;

use fluorspar_drift::single_cell::{
    Bias, Permutations, Statistic, kaplan_meier, kendall_tau_b, mutual_information, selectivity,
    spearman,
};
use ndarray::Array2;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let lines: Vec<Vec<f64>> = text
        .lines()
        .map(|line| line.split(',').map(str::parse).collect())
        .collect::<Result<_, _>>()?;
    let (first, rest) = lines.split_first().ok_or("no lines")?;
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("selectivity") => {
            let drawn = arguments.next().ok_or("how many permutations?")?.parse()?;
            tests(first, rest, drawn)
        }
        Some("order") => {
            let second = rest.first().ok_or("one line only")?;
            println!(
                "{},{}",
                spearman(first, second)?,
                kendall_tau_b(first, second)?
            );
            Ok(())
        }
        Some("information") => {
            let labels: Vec<i64> = first.iter().map(|&v| v as i64).collect();
            let second = rest.first().ok_or("one line only")?;
            let responses: Vec<usize> = second.iter().map(|&v| v as usize).collect();
            let found = mutual_information(&labels, &responses, Bias::PanzeriTreves)?;
            println!("{}", found.raw);
            Ok(())
        }
        Some("survival") => {
            let second = rest.first().ok_or("one line only")?;
            let ended: Vec<bool> = second.iter().map(|&v| v != 0.0).collect();
            let found = kaplan_meier(first, &ended, 0.95)?;
            for k in 0..found.time.len() {
                let (time, survival) = (found.time[k], found.survival[k]);
                println!("{time},{survival},{},{}", found.lo[k], found.hi[k]);
            }
            Ok(())
        }
        _ => Err("selectivity, order, information or survival".into()),
    }
}

fn tests(labels: &[f64], cells: &[Vec<f64>], drawn: usize) -> Outcome {
    let labels: Vec<i64> = labels.iter().map(|&v| v as i64).collect();
    let flat: Vec<f32> = cells.iter().flatten().map(|&v| v as f32).collect();
    let activity = Array2::from_shape_vec((cells.len(), labels.len()), flat)?;
    let permutations = Permutations::new(&labels, None, drawn, 1)?;
    let mut columns = Vec::new();
    let all = [
        Statistic::Index,
        Statistic::DPrime,
        Statistic::AuRoc,
        Statistic::EtaSquared,
    ];
    for statistic in all {
        columns.push(selectivity(activity.view(), &permutations, statistic)?);
    }
    for cell in 0..cells.len() {
        let values = columns.iter().map(|c| c.value[cell]);
        let all = values.chain(columns.iter().map(|c| c.p[cell]));
        println!(
            "{}",
            all.map(|v| v.to_string()).collect::<Vec<_>>().join(",")
        );
    }
    Ok(())
}
