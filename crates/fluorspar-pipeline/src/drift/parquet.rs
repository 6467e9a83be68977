//! Tables as Parquet, from their typed columns.

use std::sync::Arc;

use fluorspar_drift::{Column, Table, Values};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

/// The table as the bytes of a Parquet file, compressed with zstd. Numbers
/// that are not finite are null, as they are empty in CSV.
pub(super) fn bytes(table: &Table) -> Result<Vec<u8>> {
    let fields = table.columns.iter().map(field).collect::<Result<_>>()?;
    let schema = Type::group_type_builder(table.name)
        .with_fields(fields)
        .build()?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("fluorspar ", env!("CARGO_PKG_VERSION")).into())
        .build();
    let mut out = Vec::new();
    let mut file = SerializedFileWriter::new(&mut out, Arc::new(schema), Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    for column in &table.columns {
        let Some(mut to) = group.next_column()? else {
            return Err(ParquetError::General("fewer columns than fields".into()));
        };
        write(&column.values, &mut to)?;
        to.close()?;
    }
    group.close()?;
    file.close()?;
    Ok(out)
}

fn field(column: &Column) -> Result<TypePtr> {
    let (physical, optional) = match column.values {
        Values::Text(_) | Values::Category { .. } => (Physical::BYTE_ARRAY, false),
        Values::Integer(_) => (Physical::INT64, false),
        Values::Number(_) => (Physical::DOUBLE, true),
        Values::Single(_) => (Physical::FLOAT, true),
        Values::Flag(_) => (Physical::BOOLEAN, false),
    };
    let text = physical == Physical::BYTE_ARRAY;
    let field = Type::primitive_type_builder(column.name, physical)
        .with_repetition(if optional {
            Repetition::OPTIONAL
        } else {
            Repetition::REQUIRED
        })
        .with_logical_type(text.then_some(LogicalType::String))
        .build()?;
    Ok(Arc::new(field))
}

fn write(values: &Values, to: &mut SerializedColumnWriter<'_>) -> Result<()> {
    match values {
        Values::Text(texts) => {
            let texts: Vec<ByteArray> = texts.iter().map(|text| text.as_str().into()).collect();
            put::<ByteArrayType>(to, &texts, None)
        }
        Values::Category { index, names } => {
            let names: Vec<ByteArray> = names.iter().map(|name| name.as_str().into()).collect();
            let name = |&k: &u16| {
                names
                    .get(usize::from(k))
                    .cloned()
                    .unwrap_or_else(|| "".into())
            };
            let texts: Vec<ByteArray> = index.iter().map(name).collect();
            put::<ByteArrayType>(to, &texts, None)
        }
        Values::Integer(numbers) => put::<Int64Type>(to, numbers, None),
        Values::Number(numbers) => {
            let there: Vec<bool> = numbers.iter().map(|v| v.is_finite()).collect();
            let finite: Vec<f64> = numbers.iter().copied().filter(|v| v.is_finite()).collect();
            put::<DoubleType>(to, &finite, Some(&there))
        }
        Values::Single(numbers) => {
            let there: Vec<bool> = numbers.iter().map(|v| v.is_finite()).collect();
            let finite: Vec<f32> = numbers.iter().copied().filter(|v| v.is_finite()).collect();
            put::<FloatType>(to, &finite, Some(&there))
        }
        Values::Flag(flags) => put::<BoolType>(to, flags, None),
    }
}

/// Writes the values that are there; `there` says of each row whether it has one.
fn put<T: DataType>(
    to: &mut SerializedColumnWriter<'_>,
    values: &[T::T],
    there: Option<&[bool]>,
) -> Result<()> {
    let levels: Option<Vec<i16>> =
        there.map(|there| there.iter().map(|&there| i16::from(there)).collect());
    let writer = to.typed::<T>();
    writer.write_batch(values, levels.as_deref(), None)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;
    use std::io::Write as _;

    #[test]
    fn columns_come_back_with_their_types() {
        let column = |name, values| Column { name, values };
        let table = Table {
            name: "metrics",
            columns: vec![
                column("metric", Values::Text(vec!["a".into(), "é, \"b\"".into()])),
                column(
                    "epoch",
                    Values::Category {
                        index: vec![1, 0],
                        names: vec!["late".into(), "early".into()],
                    },
                ),
                column("session", Values::Integer(vec![1, -2])),
                column("value", Values::Number(vec![f64::NAN, 0.1])),
                column("single", Values::Single(vec![0.5, f32::INFINITY])),
                column("flag", Values::Flag(vec![true, false])),
            ],
        };
        let file = bytes(&table).unwrap();
        assert_eq!(file, bytes(&table).unwrap(), "the same bytes each time");
        let mut on_disk = tempfile::tempfile().unwrap();
        on_disk.write_all(&file).unwrap();
        let file = SerializedFileReader::new(on_disk).unwrap();
        let rows: Vec<_> = file
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.unwrap())
            .collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1].get_string(0).unwrap(), "é, \"b\"");
        assert_eq!(rows[0].get_string(1).unwrap(), "early");
        assert_eq!(rows[1].get_long(2).unwrap(), -2);
        assert_eq!(rows[1].get_double(3).unwrap(), 0.1);
        assert!(rows[0].get_double(3).is_err(), "null");
        assert_eq!(rows[0].get_float(4).unwrap(), 0.5);
        assert!(rows[0].get_bool(5).unwrap());
        let none = Table {
            name: "rates",
            columns: vec![column("rate", Values::Number(Vec::new()))],
        };
        assert!(bytes(&none).is_ok());
    }
}
