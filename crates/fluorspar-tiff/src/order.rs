use std::cmp::Ordering;
use std::path::PathBuf;

/// Sorts paths as people count: `scan_2.tif` before `scan_10.tif`.
///
/// ```
/// let mut files = ["a10.tif", "a2.tif", "a1.tif"].map(std::path::PathBuf::from).to_vec();
/// fluorspar_tiff::natural_order(&mut files);
/// assert_eq!(files[1].to_str(), Some("a2.tif"));
/// ```
pub fn natural_order(paths: &mut [PathBuf]) {
    paths
        .sort_by(|a, b| compare(&a.to_string_lossy(), &b.to_string_lossy()).then_with(|| a.cmp(b)));
}

/// Runs of digits compare as numbers, all else byte by byte.
fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        match (a.first(), b.first()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (na, rest_a) = number(a);
                let (nb, rest_b) = number(b);
                // Without leading zeros, the longer number is the larger.
                let order = na.len().cmp(&nb.len()).then_with(|| na.cmp(nb));
                if order != Ordering::Equal {
                    return order;
                }
                (a, b) = (rest_a, rest_b);
            }
            (Some(x), Some(y)) if x == y => (a, b) = (&a[1..], &b[1..]),
            (Some(x), Some(y)) => return x.cmp(y),
        }
    }
}

/// The digits at the start without leading zeros, and what follows.
fn number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|c| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let zeros = digits.iter().take_while(|&&c| c == b'0').count();
    (&digits[zeros..], rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_sort_as_numbers(a in 0_u64..1_000_000, b in 0_u64..1_000_000) {
            let order = compare(&format!("scan_{a}.tif"), &format!("scan_{b:03}.tif"));
            prop_assert_eq!(order, a.cmp(&b));
        }

        #[test]
        fn the_order_is_antisymmetric(a in "[a-c0-2]{0,6}", b in "[a-c0-2]{0,6}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        }
    }
}
