//! Missing footage: pauses between one recording and the next that are longer than a recorder makes by itself.

/// A recording on the time line, in milliseconds by one clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Begin.
    pub begin_ms: i64,
    /// End.
    pub end_ms: i64,
}

/// The pauses longer than `allowed_ms` and shorter than `shift_ms`: what is longer is the recorder lying in the dock.
/// Overlaps are none.
pub fn between(spans: &[Span], allowed_ms: i64, shift_ms: i64) -> Vec<Span> {
    let mut spans = spans.to_vec();
    spans.sort_by_key(|s| s.begin_ms);
    let mut gaps = Vec::new();
    let mut end: Option<i64> = None;
    for span in spans {
        if let Some(end) = end {
            let pause = span.begin_ms.saturating_sub(end);
            if pause > allowed_ms && pause < shift_ms {
                gaps.push(Span {
                    begin_ms: end,
                    end_ms: span.begin_ms,
                });
            }
        }
        end = end.max(Some(span.end_ms.max(span.begin_ms)));
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_longer_than_allowed_is_a_gap_and_an_overlap_or_a_night_is_none() {
        let span = |begin_ms, end_ms| Span { begin_ms, end_ms };
        let spans = [
            span(1_000_000, 1_300_000),
            span(0, 600_000),
            span(600_500, 900_000),
            span(890_000, 950_000),
            span(99_000_000, 99_100_000),
        ];
        assert_eq!(between(&spans, 5_000, 40_000_000), [span(950_000, 1_000_000)]);
        assert_eq!(between(&spans, 60_000, 40_000_000), []);
        assert_eq!(between(&spans[..1], 0, 1), []);
        // The battery was changed for ten minutes without a break: segments touch.
        assert_eq!(
            between(&[span(0, 600_000), span(600_000, 1_200_000)], 1_000, 40_000_000),
            []
        );
    }
}
