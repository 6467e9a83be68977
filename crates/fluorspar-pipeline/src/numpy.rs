//! NumPy's `.npy` and `.npz` files as other programs write them: numbers of
//! any type, in either order, and arrays of Python objects.

mod pickle;

use std::io::{Cursor, Read};
use std::path::Path;

use pickle::{Id, Pickle, Value};

use crate::Error;

/// Largest file, and largest member of a `.npz`, that is read: they are
/// tables of ROIs, not movies.
const MOST_BYTES: u64 = 2 << 30;
/// Bytes read at a time.
const CHUNK: usize = 1 << 20;
/// Most numbers of one array; each is kept as eight bytes.
const MOST_NUMBERS: usize = 1 << 28;

/// An array of numbers, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Numbers {
    pub(crate) shape: Vec<usize>,
    /// Whole numbers are exact up to 2⁵³; what is no number is NaN.
    pub(crate) values: Vec<f64>,
}

/// Reads the numbers of a whole `.npy` file of any size: shape, and values
/// row-major.
pub(crate) fn read_numbers(path: &Path) -> Result<(Vec<usize>, Vec<f32>), Error> {
    let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
    let mut file = std::io::BufReader::new(file);
    let header = Header::read(&mut file);
    let values = header.and_then(|header| {
        let values = header.numbers(&mut file, |v| v as f32)?;
        Ok((header.shape, values))
    });
    values.map_err(|reason| Error::bad_data(path, reason))
}

/// What a `.npy` file holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Array {
    /// Numbers; of a table of objects, gaps (`None`) are NaN.
    Numbers(Numbers),
    /// Dictionaries, each with the arrays and numbers it holds.
    Dicts(Vec<Dict>),
}

/// The arrays and numbers of a dictionary, by their keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Dict(std::collections::HashMap<String, Numbers>);

impl Dict {
    pub(crate) fn get(&self, key: &str) -> Option<&Numbers> {
        self.0.get(key)
    }

    /// A single number.
    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        let found = self.get(key)?;
        (found.values.len() == 1).then(|| found.values[0])
    }
}

/// Reads a whole file, if it is not too large.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    let io = |e| Error::io(path, e);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.is_dir() {
        return Err(Error::bad_data(path, "is a folder, not a file"));
    }
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Error::bad_data(path, "is larger than 2 GiB"));
    }
    Ok(bytes)
}

/// Reads a `.npy` file; of dictionaries only the entries named by `keys`.
pub(crate) fn read_npy(path: &Path, keys: &[&str]) -> Result<Array, Error> {
    let bytes = read_file(path)?;
    parse(&bytes, keys).map_err(|reason| Error::bad_data(path, reason))
}

/// The members of a `.npz` file that are arrays of numbers.
#[derive(Debug)]
pub(crate) struct Npz {
    archive: zip::ZipArchive<Cursor<Vec<u8>>>,
}

impl Npz {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Self::parse(read_file(path)?).map_err(|reason| Error::bad_data(path, reason))
    }

    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let archive = zip::ZipArchive::new(Cursor::new(bytes));
        let archive = archive.map_err(|error| format!("is not a .npz file: {error}"))?;
        Ok(Self { archive })
    }

    /// The array `name`, if there is one.
    pub(crate) fn get(&mut self, name: &str) -> Result<Option<Numbers>, String> {
        let member = match self.archive.by_name(&format!("{name}.npy")) {
            Ok(member) => member,
            Err(zip::result::ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(format!("{name}: {error}")),
        };
        let mut bytes = Vec::new();
        member
            .take(MOST_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("{name}: {error}"))?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(format!("{name}: is larger than 2 GiB"));
        }
        match parse(&bytes, &[]).map_err(|reason| format!("{name}: {reason}"))? {
            Array::Numbers(numbers) => Ok(Some(numbers)),
            Array::Dicts(_) => Err(format!("{name}: must be an array of numbers")),
        }
    }
}

/// What the beginning of a `.npy` file says of the rest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    /// Type of the elements, such as `<f4`.
    pub(crate) kind: String,
    /// Whether the first axis varies fastest.
    pub(crate) fortran: bool,
    pub(crate) shape: Vec<usize>,
}

impl Header {
    /// Reads it, and leaves `file` at the first element.
    pub(crate) fn read(file: &mut impl Read) -> Result<Self, String> {
        let broken = || "is not a .npy file".to_owned();
        let mut take = |count: usize| {
            let mut bytes = Vec::new();
            let taken = file.by_ref().take(count as u64).read_to_end(&mut bytes);
            match taken {
                Ok(length) if length == count => Ok(bytes),
                Ok(_) => Err(broken()),
                Err(error) => Err(error.to_string()),
            }
        };
        let start = take(8)?;
        if &start[..6] != b"\x93NUMPY" {
            return Err(broken());
        }
        let length = take(if start[6] == 1 { 2 } else { 4 })?;
        let length = length.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b));
        let text = take(length)?;
        let text = String::from_utf8_lossy(&text);
        let after = |key: &str| {
            let found = text.find(key).map(|at| &text[at + key.len()..]);
            found.ok_or_else(|| format!("its header says no {}", key.trim_matches(['\'', ':'])))
        };
        let kind = after("'descr':")?
            .trim_start()
            .strip_prefix('\'')
            .and_then(|text| text.split('\'').next())
            .ok_or("is a table of records, which is not read here")?
            .to_owned();
        let fortran = after("'fortran_order':")?.trim_start().starts_with("True");
        let shape = after("'shape':")?
            .split_once('(')
            .and_then(|(_, rest)| rest.split_once(')'))
            .ok_or_else(broken)?
            .0;
        let shape = shape
            .split(',')
            .map(|n| n.trim().trim_end_matches('L'))
            .filter(|n| !n.is_empty())
            .map(|n| n.parse().map_err(|_| broken()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            kind,
            fortran,
            shape,
        })
    }

    /// The numbers that follow, row-major, each as `to` makes it. Memory grows
    /// with what the file holds, whatever the header claims.
    pub(crate) fn numbers<T: Copy>(
        &self,
        file: &mut impl Read,
        to: impl Fn(f64) -> T,
    ) -> Result<Vec<T>, String> {
        let (size, decode) = decoder(&self.kind)?;
        let too_large = || format!("of {:?} values is too large", self.shape);
        let mut sides = self.shape.iter();
        let count = sides.try_fold(1_usize, |n, &side| n.checked_mul(side));
        let bytes = count
            .and_then(|n| n.checked_mul(size))
            .ok_or_else(too_large)?;
        let mut values = Vec::new();
        let mut chunk = vec![0; CHUNK / size * size];
        let mut left = bytes;
        while left > 0 {
            let part = &mut chunk[..left.min(CHUNK / size * size)];
            file.read_exact(part).map_err(|_| {
                let (there, shape) = (values.len(), &self.shape);
                format!("breaks off or is damaged: {there} of {shape:?} values can be read")
            })?;
            values.extend(part.chunks_exact(size).map(|bytes| to(decode(bytes))));
            left -= part.len();
        }
        Ok(if self.fortran {
            by_rows(&self.shape, values)
        } else {
            values
        })
    }

    /// The texts that follow, along the first axis.
    pub(crate) fn texts(&self, file: &mut impl Read) -> Result<Vec<String>, String> {
        let plain = self.kind.trim_start_matches(['|', '<', '>', '=']);
        let width: Option<usize> = plain.get(1..).and_then(|n| n.parse().ok());
        let (wide, width) = match (plain.get(..1), width) {
            (Some("U"), Some(width)) => (true, width.checked_mul(4)),
            (Some("S"), Some(width)) => (false, Some(width)),
            _ => {
                return Err(format!(
                    "holds values of the type {:?}, not text",
                    self.kind
                ));
            }
        };
        let &[count] = self.shape.as_slice() else {
            return Err(format!(
                "must have one axis, not the shape {:?}",
                self.shape
            ));
        };
        let Some(width) = width.filter(|&width| width <= CHUNK) else {
            return Err("holds texts that are too long".into());
        };
        let mut out = Vec::new();
        let mut text = vec![0; width];
        for _ in 0..count {
            file.read_exact(&mut text)
                .map_err(|_| format!("breaks off after {} of {count} texts", out.len()))?;
            let word: String = if wide {
                let character = |b: &[u8]| {
                    let code = if self.kind.starts_with('>') {
                        u32::from_be_bytes(fixed(b))
                    } else {
                        u32::from_le_bytes(fixed(b))
                    };
                    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
                };
                text.chunks_exact(4).map(character).collect()
            } else {
                String::from_utf8_lossy(&text).into_owned()
            };
            out.push(word.trim_end_matches('\0').to_owned());
            // A type of no width would otherwise go on for as long as the header says.
            if width == 0 && out.len() > MOST_NUMBERS {
                return Err("holds too many texts".into());
            }
        }
        Ok(out)
    }
}

/// Reads the bytes of a `.npy` file; says what is wrong with them.
pub(crate) fn parse(bytes: &[u8], keys: &[&str]) -> Result<Array, String> {
    let mut data = bytes;
    let Header {
        kind,
        fortran,
        shape,
    } = Header::read(&mut data)?;
    if kind.trim_start_matches(['|', '<', '>', '=']) == "O" {
        let pickle = Pickle::read(data)?;
        return objects(&pickle, shape, fortran, keys);
    }
    numbers(data, &kind, shape, fortran).map(Array::Numbers)
}

/// The number that the bytes of one element say.
pub(crate) type Decode = fn(&[u8]) -> f64;

/// Bytes of an element of a type such as `<f4`, and what they say.
pub(crate) fn decoder(kind: &str) -> Result<(usize, Decode), String> {
    macro_rules! of {
        ($t:ty) => {
            if kind.starts_with('>') {
                (size_of::<$t>(), |b| <$t>::from_be_bytes(fixed(b)) as f64)
            } else {
                (size_of::<$t>(), |b| <$t>::from_le_bytes(fixed(b)) as f64)
            }
        };
    }
    Ok(match kind.trim_start_matches(['|', '<', '>', '=']) {
        "f4" => of!(f32),
        "f8" => of!(f64),
        "i1" => of!(i8),
        "i2" => of!(i16),
        "i4" => of!(i32),
        "i8" => of!(i64),
        "u1" | "b1" => of!(u8),
        "u2" => of!(u16),
        "u4" => of!(u32),
        "u8" => of!(u64),
        _ => return Err(format!("holds values of the type {kind:?}, not numbers")),
    })
}

/// The first bytes, zeros where there are none.
fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    out
}

fn count(shape: &[usize]) -> Result<usize, String> {
    shape
        .iter()
        .try_fold(1_usize, |n, &side| n.checked_mul(side))
        .filter(|&count| count <= MOST_NUMBERS)
        .ok_or_else(|| format!("of {shape:?} values is too large"))
}

/// Numbers from their bytes, of a type such as `<f4`.
fn numbers(data: &[u8], kind: &str, shape: Vec<usize>, fortran: bool) -> Result<Numbers, String> {
    let (size, decode) = decoder(kind)?;
    let whole = data.chunks_exact(size).take(count(&shape)?);
    let values: Vec<f64> = whole.map(decode).collect();
    if values.len() != count(&shape)? {
        return Err(format!(
            "breaks off: {} of {shape:?} values are there",
            values.len()
        ));
    }
    Ok(ordered(Numbers { shape, values }, fortran))
}

/// Values in the order of rows, if they are in that of columns.
fn ordered(array: Numbers, fortran: bool) -> Numbers {
    let Numbers { shape, values } = array;
    let values = if fortran {
        by_rows(&shape, values)
    } else {
        values
    };
    Numbers { shape, values }
}

/// Values in the order of rows from those in the order of columns.
fn by_rows<T: Copy>(shape: &[usize], values: Vec<T>) -> Vec<T> {
    if shape.len() < 2 || values.is_empty() {
        return values;
    }
    let mut at = vec![0; shape.len()];
    let mut strides = vec![1; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let moved = (0..values.len()).map(|_| {
        let place: usize = at.iter().zip(&strides).map(|(i, stride)| i * stride).sum();
        for axis in (0..shape.len()).rev() {
            at[axis] += 1;
            if at[axis] < shape[axis] {
                break;
            }
            at[axis] = 0;
        }
        values[place]
    });
    moved.collect()
}

/// The objects of an array: dictionaries, or numbers with gaps.
fn objects(
    pickle: &Pickle<'_>,
    shape: Vec<usize>,
    fortran: bool,
    keys: &[&str],
) -> Result<Array, String> {
    let odd = || "holds Python objects that are not known here".to_owned();
    let state = match pickle.get(pickle.root()) {
        Value::Call {
            name,
            state: Some(state),
            ..
        } if pickle.is_name(*name, "_reconstruct") => *state,
        _ => return Err(odd()),
    };
    // (version, shape, type, in columns, list of objects)
    let list = pickle
        .items(state)
        .and_then(|parts| parts.get(4))
        .ok_or_else(odd)?;
    let objects = pickle.items(*list).ok_or_else(odd)?;
    if objects.len() != count(&shape)? {
        return Err(format!(
            "breaks off: {} of {shape:?} objects are there",
            objects.len()
        ));
    }
    let dict = |id: &Id| matches!(pickle.get(*id), Value::Dict(_));
    if !objects.is_empty() && objects.iter().all(dict) {
        let mut dicts = Vec::with_capacity(objects.len());
        for &id in objects {
            let mut found = Dict::default();
            for &key in keys {
                let value = pickle.entry(id, key).and_then(|value| array(pickle, value));
                if let Some(value) = value {
                    found.0.insert(key.to_owned(), value);
                }
            }
            dicts.push(found);
        }
        return Ok(Array::Dicts(dicts));
    }
    let mut values = Vec::with_capacity(objects.len());
    for &id in objects {
        values.push(match pickle.get(id) {
            Value::None => f64::NAN,
            _ => array(pickle, id)
                .filter(|number| number.values.len() == 1)
                .map(|number| number.values[0])
                .ok_or_else(odd)?,
        });
    }
    Ok(Array::Numbers(ordered(Numbers { shape, values }, fortran)))
}

/// An array or a number among a pickle's values.
fn array(pickle: &Pickle<'_>, id: Id) -> Option<Numbers> {
    let single = |value: f64| Numbers {
        shape: Vec::new(),
        values: vec![value],
    };
    match pickle.get(id) {
        Value::Int(number) => Some(single(*number as f64)),
        Value::Float(number) => Some(single(*number)),
        Value::Bool(truth) => Some(single(f64::from(u8::from(*truth)))),
        // A list of plain numbers.
        Value::Items(items) => {
            let number = |id: &Id| match pickle.get(*id) {
                Value::Int(number) => Some(*number as f64),
                Value::Float(number) => Some(*number),
                _ => None,
            };
            let values: Vec<f64> = items.iter().map(number).collect::<Option<_>>()?;
            Some(Numbers {
                shape: vec![values.len()],
                values,
            })
        }
        Value::Call {
            name,
            arguments,
            state,
        } => {
            let bytes = |id: Id| pickle.bytes(id);
            if pickle.is_name(*name, "scalar") {
                let &[kind, value] = pickle.items(*arguments)? else {
                    return None;
                };
                return numbers(&bytes(value)?, &kind_of(pickle, kind)?, Vec::new(), false).ok();
            }
            // Arrays as NumPy 2 may write them: (bytes, type, shape, order).
            if pickle.is_name(*name, "_frombuffer") {
                let &[data, kind, shape, order] = pickle.items(*arguments)? else {
                    return None;
                };
                let fortran = pickle.text(order) == Some("F");
                let kind = kind_of(pickle, kind)?;
                return numbers(&bytes(data)?, &kind, shape_of(pickle, shape)?, fortran).ok();
            }
            if !pickle.is_name(*name, "_reconstruct") {
                return None;
            }
            let &[_, shape, kind, fortran, data] = pickle.items((*state)?)? else {
                return None;
            };
            let fortran = matches!(pickle.get(fortran), Value::Bool(true));
            let kind = kind_of(pickle, kind)?;
            numbers(&bytes(data)?, &kind, shape_of(pickle, shape)?, fortran).ok()
        }
        _ => None,
    }
}

/// A type such as `<f4`: its order is told when its state is set.
fn kind_of(pickle: &Pickle<'_>, id: Id) -> Option<String> {
    let Value::Call {
        name,
        arguments,
        state,
    } = pickle.get(id)
    else {
        return None;
    };
    if !pickle.is_name(*name, "dtype") {
        return None;
    }
    let kind = pickle.text(*pickle.items(*arguments)?.first()?)?;
    let order = state.and_then(|state| pickle.text(*pickle.items(state)?.get(1)?));
    Some(format!("{}{kind}", order.unwrap_or("<")))
}

fn shape_of(pickle: &Pickle<'_>, id: Id) -> Option<Vec<usize>> {
    let side = |id: &Id| match pickle.get(*id) {
        Value::Int(number) => usize::try_from(*number).ok(),
        _ => None,
    };
    pickle.items(id)?.iter().map(side).collect()
}
