//! Tidy tables: one row per number, the same columns in every file.

mod rows;

pub use rows::{
    ConfoundRow, CrystallizationRow, Drift, HalfLifeRow, MantelRow, MetricRow, RateRow, Similarity,
};

use std::fmt::Write as _;

/// A table by columns, ready to be written as CSV or Parquet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Name of the file without its ending, such as `metrics`.
    pub name: &'static str,
    /// Columns of equal length.
    pub columns: Vec<Column>,
}

/// One column of a [`Table`].
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name, spelt as in the documentation.
    pub name: &'static str,
    /// Its values.
    pub values: Values,
}

/// The values of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Text.
    Text(Vec<String>),
    /// One of few texts: an index into `names` for each row.
    Category {
        /// Index into `names`, one per row.
        index: Vec<u16>,
        /// The texts.
        names: Vec<String>,
    },
    /// Whole numbers.
    Integer(Vec<i64>),
    /// Numbers; NaN where there is none.
    Number(Vec<f64>),
    /// Numbers of single precision; NaN where there is none.
    Single(Vec<f32>),
    /// Yes or no.
    Flag(Vec<bool>),
}

impl Values {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(v) => v.len(),
            Self::Category { index, .. } => index.len(),
            Self::Integer(v) => v.len(),
            Self::Number(v) => v.len(),
            Self::Single(v) => v.len(),
            Self::Flag(v) => v.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn write(&self, row: usize, out: &mut String) {
        // Writing to a String does not fail, so the results of `write!` are dropped.
        match self {
            Self::Text(v) => field(v.get(row).map_or("", String::as_str), out),
            Self::Category { index, names } => {
                let name = index.get(row).and_then(|&k| names.get(usize::from(k)));
                field(name.map_or("", String::as_str), out);
            }
            Self::Integer(v) => {
                if let Some(value) = v.get(row) {
                    let _ = write!(out, "{value}");
                }
            }
            // As short as can be read back exactly.
            Self::Number(v) => {
                if let Some(value) = v.get(row).filter(|v| v.is_finite()) {
                    let _ = write!(out, "{value}");
                }
            }
            Self::Single(v) => {
                if let Some(value) = v.get(row).filter(|v| v.is_finite()) {
                    let _ = write!(out, "{value}");
                }
            }
            Self::Flag(v) => {
                if let Some(value) = v.get(row) {
                    out.push(if *value { '1' } else { '0' });
                }
            }
        }
    }
}

/// A field of a CSV file, quoted where it must be.
fn field(text: &str, out: &mut String) {
    if text.contains([',', '"', '\n', '\r']) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}

impl Table {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.columns
            .iter()
            .map(|c| c.values.len())
            .max()
            .unwrap_or(0)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a column with the seed of the analysis, unless there is one.
    pub(crate) fn note_seed(&mut self, seed: u64) {
        if self.columns.iter().all(|column| column.name != "seed") {
            self.columns.push(Column {
                name: "seed",
                values: Values::Integer(vec![seed as i64; self.len()]),
            });
        }
    }

    /// The table as CSV with a header; values that are not finite are empty,
    /// yes and no are 1 and 0.
    pub fn csv(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|c| c.name).collect();
        let mut out = names.join(",");
        out.push('\n');
        for row in 0..self.len() {
            for (k, column) in self.columns.iter().enumerate() {
                if k > 0 {
                    out.push(',');
                }
                column.values.write(row, &mut out);
            }
            out.push('\n');
        }
        out
    }
}

/// Rows that make a [`Table`].
pub trait Tabular: Sized {
    /// The table of `rows`.
    fn table(rows: &[Self]) -> Table;
}

/// How a field of a row becomes a column.
pub(crate) trait Cell: Clone {
    fn column(values: Vec<Self>) -> Values;
}

impl Cell for String {
    fn column(values: Vec<Self>) -> Values {
        Values::Text(values)
    }
}

impl Cell for &'static str {
    fn column(values: Vec<Self>) -> Values {
        Values::Text(values.into_iter().map(str::to_owned).collect())
    }
}

impl Cell for f64 {
    fn column(values: Vec<Self>) -> Values {
        Values::Number(values)
    }
}

impl Cell for usize {
    fn column(values: Vec<Self>) -> Values {
        Values::Integer(values.into_iter().map(|v| v as i64).collect())
    }
}

impl Cell for u64 {
    fn column(values: Vec<Self>) -> Values {
        Values::Integer(values.into_iter().map(|v| v as i64).collect())
    }
}

impl Cell for i64 {
    fn column(values: Vec<Self>) -> Values {
        Values::Integer(values)
    }
}

impl Cell for bool {
    fn column(values: Vec<Self>) -> Values {
        Values::Flag(values)
    }
}

/// Declares a row type whose fields, in order, are the columns of a table.
macro_rules! row {
    ($(#[$about:meta])* $row:ident in $file:literal { $($(#[$doc:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$about])*
        #[allow(unreachable_pub, reason = "rows of some tables stay inside the crate")]
        #[derive(Clone, Debug, PartialEq)]
        #[allow(unreachable_pub, reason = "some rows leave the crate as tables only")]
        pub struct $row {
            $($(#[$doc])* pub $field: $kind,)*
        }

        impl $crate::table::Tabular for $row {
            fn table(rows: &[Self]) -> $crate::table::Table {
                $crate::table::Table {
                    name: $file,
                    columns: vec![$($crate::table::Column {
                        name: stringify!($field),
                        values: <$kind as $crate::table::Cell>::column(
                            rows.iter().map(|row| row.$field.clone()).collect(),
                        ),
                    },)*],
                }
            }
        }
    };
}
pub(crate) use row;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_quotes_what_it_must_and_leaves_out_what_is_not_there() {
        let table = Table {
            name: "x",
            columns: vec![
                Column {
                    name: "a",
                    values: Values::Text(vec!["p,q".into(), "say \"r\"".into()]),
                },
                Column {
                    name: "b",
                    values: Values::Number(vec![0.1, f64::NAN]),
                },
                Column {
                    name: "c",
                    values: Values::Flag(vec![true, false]),
                },
                Column {
                    name: "d",
                    values: Values::Category {
                        index: vec![1, 0],
                        names: vec!["u".into(), "v".into()],
                    },
                },
            ],
        };
        assert_eq!(
            table.csv(),
            "a,b,c,d\n\"p,q\",0.1,1,v\n\"say \"\"r\"\"\",,0,u\n"
        );
    }
}
