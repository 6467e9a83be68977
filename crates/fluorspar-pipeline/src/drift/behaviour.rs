//! How the animal behaved over time: tables of traces, and what DeepLabCut
//! saw in a video.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

use super::recording::mean;
use crate::Error;

/// Places that DeepLabCut is less sure of than this are not believed.
const MIN_LIKELIHOOD: f64 = 0.6;
/// Rows beyond this are not a table of traces.
const MOST_ROWS: usize = 50_000_000;

/// Traces of behaviour and when each sample was taken, seconds from the first frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Behaviour {
    time_s: Vec<f64>,
    traces: BTreeMap<String, Vec<f64>>,
}

impl Behaviour {
    /// Reads a CSV file with `time_s` and a column per trace, or the CSV file
    /// of DeepLabCut (rows `scorer`, `bodyparts`, `coords`) of a video of so
    /// many frames per second that starts with the recording: `PART_x`,
    /// `PART_y` (pixels) and `PART_speed` (pixels per second).
    pub(crate) fn read(path: &Path, video_rate: f64) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                Error::bad_data(path, "no such table of behaviour")
            } else {
                Error::io(path, source)
            }
        })?;
        Self::parse(&bytes, video_rate).map_err(|reason| Error::bad_data(path, reason))
    }

    fn parse(bytes: &[u8], video_rate: f64) -> Result<Self, String> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let mut rows = reader.records();
        let mut next = || {
            let row = rows.next().ok_or("has no rows")?;
            row.map_err(|error| error.to_string())
        };
        let first = next()?;
        let dlc = first.get(0) == Some("scorer");
        let names: Vec<String> = if dlc {
            let parts = next()?;
            if parts.get(0) == Some("individuals") {
                return Err("is of several animals, which is not read here".into());
            }
            let coordinates = next()?;
            let both = parts.iter().zip(&coordinates);
            both.map(|(part, coordinate)| format!("{part}_{coordinate}"))
                .collect()
        } else {
            first.iter().map(str::to_owned).collect()
        };
        let mut columns: Vec<Vec<f64>> = vec![Vec::new(); names.len()];
        for (index, row) in rows.enumerate() {
            if index == MOST_ROWS {
                return Err(format!("more than {MOST_ROWS} rows"));
            }
            let row = row.map_err(|error| error.to_string())?;
            for ((column, text), name) in columns.iter_mut().zip(&row).zip(&names) {
                column.push(match text {
                    "" | "nan" | "NaN" | "NA" => f64::NAN,
                    text => text.parse().map_err(|_| {
                        format!("row {}: {name} is {text:?}, not a number", index + 1)
                    })?,
                });
            }
        }
        let mut traces = BTreeMap::new();
        for (name, column) in names.into_iter().zip(columns) {
            if traces.contains_key(&name) {
                return Err(format!("the column {name:?} appears twice"));
            }
            traces.insert(name, column);
        }
        if dlc {
            return Ok(Self::of_parts(&traces, video_rate));
        }
        let Some(time_s) = traces.remove("time_s") else {
            let known: Vec<String> = traces.into_keys().collect();
            return Err(format!(
                "there is no column \"time_s\" (columns: {})",
                known.join(", ")
            ));
        };
        if let Some(at) = time_s
            .windows(2)
            .position(|pair| pair[0].partial_cmp(&pair[1]) != Some(Ordering::Less))
        {
            return Err(format!("row {}: time_s does not ascend", at + 2));
        }
        if time_s.first().is_some_and(|t| !t.is_finite()) {
            return Err("row 1: time_s is not a number".into());
        }
        Ok(Self { time_s, traces })
    }

    /// Places and speeds of body parts, one sample per frame of the video.
    fn of_parts(columns: &BTreeMap<String, Vec<f64>>, rate: f64) -> Self {
        let mut traces = BTreeMap::new();
        let mut frames = 0;
        for (name, x) in columns {
            let Some(part) = name.strip_suffix("_x") else {
                continue;
            };
            let Some(y) = columns.get(&format!("{part}_y")) else {
                continue;
            };
            let sure = columns.get(&format!("{part}_likelihood"));
            let believed = |k: usize| {
                let p = sure.and_then(|p| p.get(k)).copied().unwrap_or(1.0);
                p >= MIN_LIKELIHOOD
            };
            let place = |values: &[f64]| -> Vec<f64> {
                let at = |(k, &v): (usize, &f64)| if believed(k) { v } else { f64::NAN };
                values.iter().enumerate().map(at).collect()
            };
            let (x, y) = (place(x), place(y));
            frames = frames.max(x.len());
            let speed = |k: usize| match k {
                0 => f64::NAN,
                k => (x[k] - x[k - 1]).hypot(y[k] - y[k - 1]) * rate,
            };
            let speeds = (0..x.len().min(y.len())).map(speed).collect();
            traces.insert(format!("{part}_speed"), speeds);
            traces.insert(format!("{part}_x"), x);
            traces.insert(format!("{part}_y"), y);
        }
        Self {
            time_s: (0..frames).map(|k| k as f64 / rate).collect(),
            traces,
        }
    }

    /// Mean of each trace over `[start, stop)` of each trial; NaN where there
    /// is no sample.
    pub(crate) fn over(&self, windows: &[(f64, f64)]) -> BTreeMap<String, Vec<f64>> {
        let within: Vec<(usize, usize)> = windows
            .iter()
            .map(|&(start, stop)| {
                let at = |time: f64| self.time_s.partition_point(|&t| t < time);
                (at(start), at(stop).max(at(start)))
            })
            .collect();
        let of_trace = |trace: &Vec<f64>| {
            let of_trial = |&(first, end): &(usize, usize)| {
                let samples = trace.get(first..end.min(trace.len())).unwrap_or_default();
                mean(samples.iter().copied()).unwrap_or(f64::NAN)
            };
            within.iter().map(of_trial).collect()
        };
        self.traces
            .iter()
            .map(|(name, trace)| (name.clone(), of_trace(trace)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_averaged_over_trials() {
        let text = b"time_s,speed\n0,1\n1,2\n2,\n3,4\n4,100\n";
        let traces = Behaviour::parse(text, 30.0).unwrap();
        let found = traces.over(&[(0.0, 2.0), (1.0, 4.0), (10.0, 12.0)]);
        assert_eq!(found["speed"][..2], [1.5, 3.0]);
        assert!(found["speed"][2].is_nan());
    }

    #[test]
    fn body_parts_have_places_and_speeds() {
        let text = b"scorer,DLC,DLC,DLC\nbodyparts,paw,paw,paw\ncoords,x,y,likelihood\n\
                     0,0,0,0.99\n1,3,4,0.99\n2,50,50,0.1\n3,6,8,0.99\n";
        let traces = Behaviour::parse(text, 10.0).unwrap();
        let found = traces.over(&[(0.0, 0.4)]);
        assert_eq!(
            found["paw_speed"],
            [50.0],
            "only one step between sure places"
        );
        assert_eq!(found["paw_x"], [3.0]);
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn broken_tables_are_refused() {
        for (text, says) in [
            ("", "no rows"),
            ("speed\n1\n", "time_s"),
            ("time_s,speed\n0,fast\n", "speed"),
            ("time_s,speed\n1,1\n0,1\n", "ascend"),
            ("time_s,speed,speed\n0,1,1\n", "twice"),
            ("time_s,speed\n0,1\n1\n", "fields"),
            ("scorer,a\nindividuals,b\n", "several animals"),
            ("scorer,a\n", "no rows"),
        ] {
            let error = Behaviour::parse(text.as_bytes(), 10.0).unwrap_err();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }
}
