//! Reads `label,feature,feature,…` per line from standard input, trains on all
//! lines, and prints the decision values of each, pair by pair, then the biases,
//! then the coefficients of each trial: for comparison with another
//! implementation.
//!
//! ```text
//! decode_agree svm|logistic|discriminant|template [C or shrinkage]
//! ```
#![allow(clippy::print_stdout, reason = "a small tool")]

use std::io::Read;

use fluorspar_decode::{Decoder, Discriminant, LinearSvm, Logistic, Template, linear_gram};
use ndarray::Array2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().unwrap_or_default();
    let parameter: f64 = arguments.next().unwrap_or("1".into()).parse()?;
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
    let cells = values.len() / labels.len().max(1);
    let decoder: Box<dyn Decoder> = match kind.as_str() {
        "svm" => Box::new(LinearSvm {
            c: parameter,
            ..LinearSvm::default()
        }),
        "logistic" => Box::new(Logistic {
            c: parameter,
            ..Logistic::default()
        }),
        "discriminant" => Box::new(Discriminant {
            shrinkage: parameter,
            cells: Some(cells),
        }),
        _ => Box::new(Template::Euclidean),
    };
    let features = Array2::from_shape_vec((labels.len(), cells), values)?;
    let gram = linear_gram(features.view());
    let all: Vec<usize> = (0..labels.len()).collect();
    let model = decoder.train(gram.view(), &labels, &all)?;
    let print = |row: Vec<f64>| {
        let fields: Vec<String> = row.iter().map(f64::to_string).collect();
        println!("{}", fields.join(","));
    };
    for row in model.decision(gram.view())?.rows() {
        print(row.to_vec());
    }
    let pairs = model.pairs().count();
    print((0..pairs).filter_map(|pair| model.bias(pair)).collect());
    for trial in 0..labels.len() {
        let coefficients = (0..pairs).filter_map(|pair| model.coefficients(pair));
        print(coefficients.map(|c| c[trial]).collect());
    }
    Ok(())
}
