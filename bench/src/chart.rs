//! Draws the CPU time per event as an SVG of horizontal bars, which is readable on a light and on a dark page.

use std::fmt::Write;

/// The bars of one workload.
pub struct Group {
    pub title: &'static str,
    pub bars: Vec<Bar>,
}

/// The figure of one program.
pub struct Bar {
    pub label: String,
    pub kind: BarKind,
    /// CPU time per event, in µs.
    pub micros: f64,
}

/// What a bar's colour stands for.
#[derive(Clone, Copy)]
pub enum BarKind {
    Floor,
    Sidecar,
    Other,
}

/// Sizes in pixels.
const WIDTH: usize = 760;
const MARGIN: usize = 16;
const LINE_HEIGHT: usize = 22;
const BAR_HEIGHT: usize = 14;
/// Where bars begin: right of their labels.
const BAR_X: usize = 190;
/// Width of the longest bar, which leaves room for its figure.
const MAX_BAR_WIDTH: usize = 480;
/// Distance of a text's baseline from the top of its line.
const BASELINE: usize = 15;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1f2328}\
    .title{font-weight:600}.label{text-anchor:end}.caption{fill:#59636e}\
    .floor{fill:#9aa4ae}.sidecar{fill:#0969da}.other{fill:#c28a2c}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.caption{fill:#9198a1}\
    .floor{fill:#6e7681}.sidecar{fill:#4493f8}.other{fill:#d29922}}";

/// The chart of `groups`, which share one scale, with a caption below.
pub fn svg(groups: &[Group], caption: &str) -> String {
    let bars = || groups.iter().flat_map(|group| &group.bars);
    let max = bars().map(|bar| bar.micros).fold(f64::MIN_POSITIVE, f64::max);
    // A line per title and per bar, an empty one after each group, and the caption.
    let lines = 2 * groups.len() + bars().count() + 1;
    let height = 2 * MARGIN + lines * LINE_HEIGHT;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"CPU time per event\">\n<style>{STYLE}</style>\n"
    );
    let mut top = MARGIN;
    for group in groups {
        text(&mut out, "title", MARGIN, top, group.title);
        top += LINE_HEIGHT;
        for bar in &group.bars {
            draw_bar(&mut out, bar, top, max);
            top += LINE_HEIGHT;
        }
        top += LINE_HEIGHT;
    }
    text(&mut out, "caption", MARGIN, top, caption);
    out.push_str("</svg>\n");
    out
}

fn draw_bar(out: &mut String, bar: &Bar, top: usize, max: f64) {
    let class = match bar.kind {
        BarKind::Floor => "floor",
        BarKind::Sidecar => "sidecar",
        BarKind::Other => "other",
    };
    let width = MAX_BAR_WIDTH as f64 * bar.micros / max;
    let y = top + (LINE_HEIGHT - BAR_HEIGHT) / 2;
    text(out, "label", BAR_X - 8, top, &bar.label);
    let rectangle =
        format!("<rect class=\"{class}\" x=\"{BAR_X}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\"/>\n");
    out.push_str(&rectangle);
    text(out, "figure", BAR_X + width.ceil() as usize + 6, top, &format!("{:.1}", bar.micros));
}

fn text(out: &mut String, class: &str, x: usize, top: usize, content: &str) {
    let escaped = content.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    // Writing to a string does not fail.
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{}\">{escaped}</text>", top + BASELINE);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, kind: BarKind, micros: f64) -> Bar {
        Bar { label: label.to_owned(), kind, micros }
    }

    #[test]
    fn bars_share_one_scale_and_show_their_figures() {
        let object = vec![bar("floor", BarKind::Floor, 25.0), bar("sidecar", BarKind::Sidecar, 50.04)];
        let batch = vec![bar("A & B", BarKind::Other, 100.0)];
        let groups = [Group { title: "object", bars: object }, Group { title: "batch", bars: batch }];
        let svg = svg(&groups, "µs of CPU per event");
        let bars: Vec<&str> = svg.lines().filter(|line| line.starts_with("<rect")).collect();
        for (bar, (class, width)) in bars.iter().zip([("floor", 120.0), ("sidecar", 240.2), ("other", 480.0)]) {
            assert!(bar.contains(&format!("class=\"{class}\"")), "{bar}");
            assert!(bar.contains(&format!("width=\"{width:.1}\"")), "{bar}");
        }
        assert_eq!(bars.len(), 3);
        for content in [">object<", ">A &amp; B<", ">50.0<", ">µs of CPU per event<", "prefers-color-scheme:dark"] {
            assert!(svg.contains(content), "{content}: {svg}");
        }
    }

    #[test]
    fn everything_is_inside_the_picture() {
        let groups = [Group { title: "object", bars: vec![bar("floor", BarKind::Floor, 1.0)] }];
        let svg = svg(&groups, "caption");
        let number = |line: &str, name: &str| -> Option<usize> {
            let (_, rest) = line.split_once(&format!(" {name}=\""))?;
            rest.split_once('"')?.0.parse().ok()
        };
        let height = number(&svg, "height").unwrap();
        assert!(svg.lines().filter_map(|line| number(line, "y")).all(|y| y < height), "{svg}");
        const { assert!(BAR_X + MAX_BAR_WIDTH < WIDTH) }
    }

    #[test]
    fn a_chart_without_bars_is_valid() {
        assert!(svg(&[], "nothing was measured").ends_with("</svg>\n"));
    }
}
