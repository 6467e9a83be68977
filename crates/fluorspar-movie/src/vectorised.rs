/// Declares functions that run on the processor's widest vector instructions.
///
/// Rust compiles for the oldest processor of its target. A function declared
/// here is compiled for newer ones (AVX2 and AVX-512 on x86-64) as well, and picks
/// at run time. Every function it calls in its loops must be
/// `#[inline(always)]`, or stays behind. The results are the same to the bit:
/// the compiler neither fuses nor reorders floating-point operations.
///
/// References need a named lifetime, declared first.
///
/// ```
/// fluorspar_movie::vectorised! {
///     /// `a += b`.
///     fn add<'a>(a: &'a mut [f32], b: &'a [f32]) {
///         for (a, b) in a.iter_mut().zip(b) {
///             *a += b;
///         }
///     }
/// }
/// let mut a = [1.0, 2.0];
/// add(&mut a, &[3.0, 4.0]);
/// assert_eq!(a, [4.0, 6.0]);
/// ```
#[macro_export]
macro_rules! vectorised {
    (@output) => { () };
    (@output $output:ty) => { $output };
    ($($(#[$attribute:meta])* $visibility:vis fn $name:ident
        <$life:lifetime $(, $generic:ident: $bound:path)*>
        ($($argument:ident: $type:ty),* $(,)?) $(-> $output:ty)? $body:block)*) => {$(
        $(#[$attribute])*
        $visibility fn $name<$life $(, $generic: $bound)*>($($argument: $type),*) $(-> $output)? {
            struct Operation<$life $(, $generic: $bound)*> {
                $($argument: $type,)*
                marker: ::core::marker::PhantomData<(&$life (), $($generic,)*)>,
            }
            impl<$life $(, $generic: $bound)*> $crate::pulp::WithSimd
                for Operation<$life $(, $generic)*>
            {
                type Output = $crate::vectorised!(@output $($output)?);
                #[inline(always)]
                fn with_simd<S: $crate::pulp::Simd>(self, _: S) -> Self::Output {
                    let Self { $($argument,)* marker: _ } = self;
                    $body
                }
            }
            $crate::pulp::Arch::new().dispatch(Operation {
                $($argument,)*
                marker: ::core::marker::PhantomData::<(&$life (), $($generic,)*)>,
            })
        }
    )*};
}
