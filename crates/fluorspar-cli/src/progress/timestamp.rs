use std::time::{SystemTime, UNIX_EPOCH};

/// Now, as in RFC 3339: `2026-11-26T11:27:28.042Z`.
pub(super) fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 is wrong anyway.
    rfc3339(since.map_or(0, |since| since.as_millis() as u64))
}

/// Milliseconds since 1970 as a date and time in UTC.
///
/// Days become dates by counting from 1 March of a year that 400 divides, as
/// in Hinnant's `civil_from_days`: February, the odd one, then comes last.
fn rfc3339(milliseconds: u64) -> String {
    let (days, within) = (milliseconds / 86_400_000, milliseconds % 86_400_000);
    // From 0000-03-01.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (seconds, milliseconds) = (within / 1000, within % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_000_000_000, "2001-09-09T01:46:40.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (1_709_251_200, "2024-03-01T00:00:00.000Z"),
            (4_102_444_799, "2099-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(rfc3339(1000 * seconds), text);
        }
        assert!(rfc3339(42).ends_with(":00.042Z"));
        assert!(now() > rfc3339(1_700_000_000_000));
    }

    /// Counting day by day with the rule of leap years as everyone knows it.
    #[test]
    fn every_day_of_four_centuries() {
        let leap = |year: u64| {
            year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
        };
        let mut days = 0_u64;
        for year in 1970..2370 {
            let february = if leap(year) { 29 } else { 28 };
            let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            for (month, length) in (1..).zip(months) {
                for day in 1..=length {
                    let date = format!("{year:04}-{month:02}-{day:02}T00:00:00.000Z");
                    assert_eq!(rfc3339(days * 86_400_000), date);
                    days += 1;
                }
            }
        }
    }
}
