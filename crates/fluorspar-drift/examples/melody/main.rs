//! A neural code as a melody that changes and then settles: every cell is a
//! note, every session a WAV file. The README beside this file tells more.
//!
//! `cargo run --release -p fluorspar-drift --example melody -- [TENSORS] [OUT] [SEED]`
#![allow(clippy::print_stdout, reason = "a small tool")]

mod score;
mod sessions;
mod sound;

use std::path::PathBuf;

use crate::sessions::Day;

/// Most cells that play; more are a noise.
const VOICES: usize = 24;

/// What can go wrong is told in words.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let tensors = arguments
        .next()
        .filter(|given| given != "-")
        .map(PathBuf::from);
    let out = arguments
        .next()
        .map_or_else(|| PathBuf::from("melody"), PathBuf::from);
    let seed: u64 = arguments.next().map_or(Ok(1), |given| given.parse())?;

    let days: Vec<Day> = match &tensors {
        Some(folder) => sessions::read(folder)?,
        None => sessions::simulate(seed),
    };
    let score = score::compose(&days, VOICES)?;
    let voices = score.notes.first().map_or(0, Vec::len);
    println!(
        "{} sessions; {voices} of {} cells that all sessions share play",
        days.len(),
        score.shared
    );
    std::fs::create_dir_all(&out)?;
    let mut all = Vec::new();
    for (index, day) in days.iter().enumerate() {
        let notes = &score.notes[index];
        let samples = sound::play(notes);
        let path = out.join(format!("session-{:02}.wav", index + 1));
        sound::write(&path, &samples)?;
        let change = if index == 0 {
            String::new()
        } else {
            let likeness = score::likeness(&score.notes[index - 1], notes)?;
            format!(", order as in the session before: {likeness:.2}")
        };
        println!("{}  day {}{change}", path.display(), day.elapsed);
        all.extend(samples);
    }
    let path = out.join("all-sessions.wav");
    sound::write(&path, &all)?;
    println!("{}  one after the other", path.display());
    Ok(())
}
