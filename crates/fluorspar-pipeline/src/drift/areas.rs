//! Which area of the brain a cell lies in.

use std::path::Path;

use serde::Deserialize;

use crate::Error;

/// The name of what lies in no area.
pub(crate) const OUTSIDE: &str = "outside";

/// Areas drawn as polygons in the field of view, or one for each plane.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Areas {
    Planes,
    Polygons(Vec<(String, Vec<(f64, f64)>)>),
}

#[derive(Deserialize)]
struct Corner {
    area: String,
    y: f64,
    x: f64,
}

impl Areas {
    /// `"plane"`, or the name of a CSV file with `area`, `y` and `x` (pixels):
    /// the corners of each area in order. An area whose corners are
    /// interrupted by those of another has several parts.
    pub(crate) fn read(name: &str, folder: &Path) -> Result<Self, Error> {
        if name == "plane" {
            return Ok(Self::Planes);
        }
        let path = folder.join(name);
        let bytes = std::fs::read(&path).map_err(|source| {
            if source.kind() == std::io::ErrorKind::NotFound {
                Error::bad_data(&path, "no such file, named in experiment.areas")
            } else {
                Error::io(&path, source)
            }
        })?;
        Self::parse(&bytes).map_err(|reason| Error::bad_data(&path, reason))
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let mut polygons: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
        for row in reader.deserialize::<Corner>() {
            let Corner { area, y, x } = row.map_err(|error| error.to_string())?;
            if !(y.is_finite() && x.is_finite()) {
                return Err(format!("a corner of {area:?} is not a number"));
            }
            match polygons.last_mut() {
                Some((last, corners)) if *last == area => corners.push((y, x)),
                _ => polygons.push((area, vec![(y, x)])),
            }
        }
        if polygons.is_empty() {
            return Err("has no corners; it needs rows of area, y, x".into());
        }
        match polygons.iter().find(|(_, corners)| corners.len() < 3) {
            Some((area, corners)) => Err(format!(
                "{area:?} has {} corners in a row; an area needs three",
                corners.len()
            )),
            None => Ok(Self::Polygons(polygons)),
        }
    }

    /// The area of a place (plane, y, x); the first that holds it.
    pub(crate) fn of(&self, [plane, y, x]: [f64; 3]) -> String {
        match self {
            Self::Planes if plane.is_finite() => format!("plane {plane:.0}"),
            Self::Planes => OUTSIDE.into(),
            Self::Polygons(polygons) => polygons
                .iter()
                .find(|(_, corners)| holds(corners, y, x))
                .map_or_else(|| OUTSIDE.to_owned(), |(area, _)| area.clone()),
        }
    }
}

/// Whether a place lies within a polygon: a ray from it crosses an odd number of sides.
fn holds(corners: &[(f64, f64)], y: f64, x: f64) -> bool {
    let next = corners.iter().cycle().skip(1);
    let crossings = corners.iter().zip(next).filter(|&(&(ay, ax), &(by, bx))| {
        (ay > y) != (by > y) && x < ax + (bx - ax) * (y - ay) / (by - ay)
    });
    crossings.count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_in_their_area() {
        // M2 is a triangle, M1 has two parts.
        let text = b"area,y,x\nM2,0,0\nM2,0,10\nM2,10,0\nM1,20,20\nM1,20,30\nM1,30,30\nM1,30,20\n\
                     RSA,50,50\nRSA,50,60\nRSA,60,60\nM1,0,20\nM1,0,30\nM1,5,30\n";
        let areas = Areas::parse(text).unwrap();
        for (y, x, area) in [
            (1.0, 1.0, "M2"),
            (4.0, 5.0, "M2"),
            (6.0, 6.0, OUTSIDE),
            (25.0, 21.0, "M1"),
            (1.0, 29.0, "M1"),
            (52.0, 59.0, "RSA"),
            (-1.0, 5.0, OUTSIDE),
            (f64::NAN, 5.0, OUTSIDE),
        ] {
            assert_eq!(areas.of([0.0, y, x]), area, "{y} {x}");
        }
        assert_eq!(Areas::Planes.of([3.0, 0.0, 0.0]), "plane 3");
        for bad in [
            "",
            "area,y,x\n",
            "area,y\na,1\n",
            "area,y,x\na,1,1\na,2,2\n",
            "area,y,x\na,nan,1\n",
        ] {
            assert!(Areas::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
