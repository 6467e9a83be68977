use std::fmt;

/// The type of one stored pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PixelType {
    /// Unsigned 8-bit.
    U8,
    /// Signed 8-bit.
    I8,
    /// Unsigned 16-bit.
    U16,
    /// Signed 16-bit, the type ScanImage writes.
    I16,
    /// Unsigned 32-bit.
    U32,
    /// Signed 32-bit.
    I32,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
}

impl PixelType {
    /// Every type, integers before floats.
    pub const ALL: [Self; 8] = [
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::F32,
        Self::F64,
    ];

    /// Bytes per pixel.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

impl fmt::Display for PixelType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::U8 => "uint8",
            Self::I8 => "int8",
            Self::U16 => "uint16",
            Self::I16 => "int16",
            Self::U32 => "uint32",
            Self::I32 => "int32",
            Self::F32 => "float32",
            Self::F64 => "float64",
        })
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that a pixel can have. Sealed: the list is [`PixelType`]'s.
pub trait Sample: sealed::Sealed + bytemuck::Pod + Send + Sync + PartialEq + fmt::Debug {
    /// The tag of this type.
    const PIXEL_TYPE: PixelType;

    /// The value as `f32`; 32-bit integers and doubles round to nearest.
    fn to_f32(self) -> f32;

    /// The nearest value of this type: halves round to even, what does not
    /// fit saturates, and NaN becomes 0 in integer types.
    fn from_f32(value: f32) -> Self;
}

macro_rules! integer {
    ($($t:ty => $tag:ident),*) => {$(
        impl sealed::Sealed for $t {}
        impl Sample for $t {
            const PIXEL_TYPE: PixelType = PixelType::$tag;
            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }
            #[inline(always)]
            fn from_f32(value: f32) -> Self {
                // A float-to-integer `as` saturates and sends NaN to 0.
                value.round_ties_even() as $t
            }
        }
    )*};
}
integer!(u8 => U8, i8 => I8, u16 => U16, i16 => I16, u32 => U32, i32 => I32);

impl sealed::Sealed for f32 {}
impl Sample for f32 {
    const PIXEL_TYPE: PixelType = PixelType::F32;
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
}

impl sealed::Sealed for f64 {}
impl Sample for f64 {
    const PIXEL_TYPE: PixelType = PixelType::F64;
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self as f32
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        f64::from(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_even_and_ends_saturate() {
        assert_eq!(i16::from_f32(0.5), 0);
        assert_eq!(i16::from_f32(1.5), 2);
        assert_eq!(i16::from_f32(-2.5), -2);
        assert_eq!(i16::from_f32(1e9), i16::MAX);
        assert_eq!(u8::from_f32(-3.0), 0);
        assert_eq!(u16::from_f32(f32::NAN), 0);
    }

    #[test]
    fn bytes_agree_with_the_type() {
        fn check<T: Sample>() {
            assert_eq!(T::PIXEL_TYPE.bytes(), size_of::<T>());
        }
        check::<u8>();
        check::<i8>();
        check::<u16>();
        check::<i16>();
        check::<u32>();
        check::<i32>();
        check::<f32>();
        check::<f64>();
    }
}
