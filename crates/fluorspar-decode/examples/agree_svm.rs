//! Reads `label,feature,feature,…` per line from standard input, trains on
//! all lines, and prints the decision value of each: for comparison with
//! another implementation.
#![allow(clippy::print_stdout, reason = "a small tool")]

use std::io::Read;

use fluorspar_decode::{Decoder, LinearSvm, linear_gram};
use ndarray::Array2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let mut labels: Vec<i64> = Vec::new();
    let mut values: Vec<f64> = Vec::new();
    for line in text.lines() {
        let mut fields = line.split(',');
        labels.push(fields.next().unwrap_or_default().trim().parse()?);
        for field in fields {
            values.push(field.trim().parse()?);
        }
    }
    let features =
        Array2::from_shape_vec((labels.len(), values.len() / labels.len().max(1)), values)?;
    let gram = linear_gram(features.view());
    let all: Vec<usize> = (0..labels.len()).collect();
    let model = LinearSvm::default().train(gram.view(), &labels, &all)?;
    for value in model.decision(gram.view())? {
        println!("{value}");
    }
    Ok(())
}
