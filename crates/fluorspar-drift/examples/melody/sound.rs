//! From notes to sound.

use std::path::Path;

use crate::Outcome;
use crate::score::Note;

/// Samples per second.
const RATE: u32 = 22_050;
/// Seconds that a trial becomes.
const TRIAL_S: f64 = 6.0;
/// Seconds in which the last note fades.
const FADE_S: f64 = 1.6;
/// Steps of the major pentatonic scale, semitones above its first: no two of
/// its notes clash, so that a jumble is a jumble of order alone.
const SCALE: [u32; 5] = [0, 2, 4, 7, 9];
/// Lowest note, C3, as MIDI numbers it.
const LOWEST: u32 = 48;

fn frequency(step: usize) -> f64 {
    let octave = (step / SCALE.len()) as u32;
    let key = LOWEST + 12 * octave + SCALE[step % SCALE.len()];
    440.0 * 2.0_f64.powf((f64::from(key) - 69.0) / 12.0)
}

/// The notes of a session as samples, −1 to 1, with a pause behind them.
pub(crate) fn play(notes: &[Note]) -> Vec<f32> {
    let rate = f64::from(RATE);
    let mut sound = vec![0.0_f64; ((TRIAL_S + FADE_S) * rate) as usize];
    for note in notes {
        let (start, pitch) = ((note.at * TRIAL_S * rate) as usize, frequency(note.step));
        for (k, sample) in sound
            .iter_mut()
            .skip(start)
            .take((FADE_S * rate) as usize)
            .enumerate()
        {
            let t = k as f64 / rate;
            let phase = std::f64::consts::TAU * pitch * t;
            // A struck bar: a tone and its double octave, which fades sooner. The
            // first milliseconds rise, or the start would click.
            let rise = (t / 0.004).min(1.0);
            let bar =
                phase.sin() * (-t / 0.35).exp() + 0.25 * (4.0 * phase).sin() * (-t / 0.08).exp();
            *sample += 0.22 * note.loudness * rise * bar;
        }
    }
    // A soft limit where many notes fall together.
    sound
        .into_iter()
        .map(|sample| sample.tanh() as f32)
        .collect()
}

/// Writes 16-bit mono.
pub(crate) fn write(path: &Path, samples: &[f32]) -> Outcome<()> {
    let form = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(path, form)?;
    for sample in samples {
        file.write_sample((sample * f32::from(i16::MAX)).round() as i16)?;
    }
    Ok(file.finalize()?)
}
