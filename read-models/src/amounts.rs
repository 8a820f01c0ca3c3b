//! Sums of money as whole units of 10⁻⁸ in an `i128`, because SQL has no exact decimals that both stores share and a
//! sum of many amounts outgrows what a 96-bit decimal holds.

/// Decimals that the unit stands for.
pub const DECIMALS: u32 = 8;
const ONE: i128 = 100_000_000;
/// Decimals that are always written.
const LEAST_DECIMALS: usize = 2;

/// Writes units of 10⁻⁸ as a decimal number with two to eight decimals: `1234.50`, `-0.00000001`.
pub fn format_units(units: i128) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let (whole, part) = (units.unsigned_abs() / ONE.unsigned_abs(), units.unsigned_abs() % ONE.unsigned_abs());
    let part = format!("{part:08}");
    let kept = part.trim_end_matches('0').len().max(LEAST_DECIMALS);
    let (part, _) = part.split_at_checked(kept).unwrap_or((&part, ""));
    format!("{sign}{whole}.{part}")
}

/// Reads what [`format_units`] wrote, or any plain decimal number with at most eight decimals.
pub fn parse_units(text: &str) -> Option<i128> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(part) || part.len() > 8 {
        return None;
    }
    let part: i128 = format!("{part:0<8}").parse().ok()?;
    let units = whole.parse::<i128>().ok()?.checked_mul(ONE)?.checked_add(part)?;
    Some(if negative { -units } else { units })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_print_and_parse_exactly() {
        for (units, text) in [
            (0, "0.00"),
            (123_450_000_000, "1234.50"),
            (1, "0.00000001"),
            (-1, "-0.00000001"),
            (-100_000_000, "-1.00"),
            (10_i128.pow(35), "1000000000000000000000000000.00"),
        ] {
            assert_eq!(format_units(units), text);
            assert_eq!(parse_units(text), Some(units));
        }
        assert_eq!(parse_units("7"), Some(700_000_000));
        for bad in ["", "-", ".5", "1.123456789", "1e3", "+1", "1,0"] {
            assert_eq!(parse_units(bad), None, "{bad}");
        }
    }
}
