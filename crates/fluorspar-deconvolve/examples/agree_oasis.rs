//! `agree_oasis G LAMBDA < trace`: one value per line in, `calcium,event` per
//! line out, for comparison with another implementation.
#![allow(clippy::print_stdout, reason = "a small tool")]

use std::io::Read;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let g: f64 = arguments.next().unwrap_or_default().parse()?;
    let lambda: f64 = arguments.next().unwrap_or_default().parse()?;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let trace: Vec<f64> = text.lines().map(str::parse).collect::<Result<_, _>>()?;
    let found = fluorspar_deconvolve::oasis_ar1(&trace, g, lambda)?;
    for (c, s) in found.calcium.iter().zip(&found.events) {
        println!("{c},{s}");
    }
    Ok(())
}
