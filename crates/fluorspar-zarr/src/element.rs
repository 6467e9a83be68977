use std::fmt;

use fluorspar_movie::PixelType;

/// The type of one stored element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ElementType {
    /// Unsigned 8-bit.
    U8,
    /// Signed 8-bit.
    I8,
    /// Unsigned 16-bit.
    U16,
    /// Signed 16-bit.
    I16,
    /// Unsigned 32-bit.
    U32,
    /// Signed 32-bit.
    I32,
    /// Unsigned 64-bit.
    U64,
    /// Signed 64-bit.
    I64,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
}

const NAMES: [(ElementType, &str, &str); 10] = [
    (ElementType::U8, "uint8", "u1"),
    (ElementType::I8, "int8", "i1"),
    (ElementType::U16, "uint16", "u2"),
    (ElementType::I16, "int16", "i2"),
    (ElementType::U32, "uint32", "u4"),
    (ElementType::I32, "int32", "i4"),
    (ElementType::U64, "uint64", "u8"),
    (ElementType::I64, "int64", "i8"),
    (ElementType::F32, "float32", "f4"),
    (ElementType::F64, "float64", "f8"),
];

impl ElementType {
    /// Bytes per element.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|row| row.0 == self)
            .map_or("", |row| row.1)
    }

    /// From a v3 name such as `uint16`.
    pub(crate) fn from_v3(name: &str) -> Option<Self> {
        NAMES.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// From a v2 type string such as `<u2`.
    pub(crate) fn from_v2(code: &str) -> Option<Self> {
        let code = code.strip_prefix(['<', '>', '|'])?;
        NAMES.iter().find(|row| row.2 == code).map(|row| row.0)
    }

    pub(crate) fn pixel_type(self) -> Option<PixelType> {
        Some(match self {
            Self::U8 => PixelType::U8,
            Self::I8 => PixelType::I8,
            Self::U16 => PixelType::U16,
            Self::I16 => PixelType::I16,
            Self::U32 => PixelType::U32,
            Self::I32 => PixelType::I32,
            Self::F32 => PixelType::F32,
            Self::F64 => PixelType::F64,
            Self::U64 | Self::I64 => return None,
        })
    }

    pub(crate) fn from_pixel_type(pixel: PixelType) -> Option<Self> {
        NAMES
            .iter()
            .map(|row| row.0)
            .find(|element| element.pixel_type() == Some(pixel))
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that an array's element can have. Sealed: the list is [`ElementType`]'s.
pub trait Element: sealed::Sealed + bytemuck::Pod + Send + Sync + PartialEq + fmt::Debug {
    /// The tag of this type.
    const TYPE: ElementType;
}

macro_rules! element {
    ($($t:ty => $tag:ident),*) => {$(
        impl sealed::Sealed for $t {}
        impl Element for $t {
            const TYPE: ElementType = ElementType::$tag;
        }
    )*};
}
element!(
    u8 => U8, i8 => I8, u16 => U16, i16 => I16, u32 => U32, i32 => I32,
    u64 => U64, i64 => I64, f32 => F32, f64 => F64
);
