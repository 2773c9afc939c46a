//! One chart as SVG: axes with given ticks, lines, dashed bounds.

use std::ops::Range;

use plotters::{
    coord::{
        Shift,
        ranged1d::{AsRangedCoord, KeyPointHint, NoDefaultFormatting, ValueFormatter},
        types::RangedCoordf64,
    },
    prelude::{
        ChartBuilder, Circle, Color as _, DashedLineSeries, DrawingArea, DrawingAreaErrorKind,
        IntoDrawingArea as _, IntoFont as _, LineSeries, RGBColor, Ranged, SVGBackend, ShapeStyle,
    },
};

/// Ink of labels and axes.
const INK: RGBColor = RGBColor(0x5b, 0x64, 0x70);
const GRID: RGBColor = RGBColor(0xe6, 0xe9, 0xed);
const AXIS: RGBColor = RGBColor(0xb4, 0xbb, 0xc4);
const HEIGHT: u32 = 300;
const WIDTH: u32 = 920;

/// An axis: what it spans, where it is labelled, and how.
pub struct Axis {
    /// The least value shown.
    pub from: f64,
    /// The largest value shown.
    pub until: f64,
    /// Where labels stand.
    pub ticks: Vec<f64>,
    /// The text at a tick.
    pub label: fn(f64) -> String,
}

/// An axis as plotters wants it.
pub struct Scale<'a>(&'a Axis);

impl Ranged for Scale<'_> {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.range()).map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.0.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.0.from..self.0.until
    }
}

impl ValueFormatter<f64> for Scale<'_> {
    fn format(value: &f64) -> String {
        value.to_string()
    }

    fn format_ext(&self, value: &f64) -> String {
        (self.0.label)(*value)
    }
}

impl<'a> AsRangedCoord for &'a Axis {
    type CoordDescType = Scale<'a>;
    type Value = f64;
}

impl<'a> From<&'a Axis> for Scale<'a> {
    fn from(axis: &'a Axis) -> Self {
        Self(axis)
    }
}

/// One line.
pub struct Line {
    /// Its colour.
    pub color: RGBColor,
    /// Its points in the units of the axes.
    pub points: Vec<(f64, f64)>,
    /// Drawn as dashes: a bound, not a measurement.
    pub dashed: bool,
    /// A dot at the last point.
    pub dot: bool,
}

impl Axis {
    /// An axis from 0 with round ticks.
    #[must_use]
    pub fn linear(until: f64, tick_count: usize, label: fn(f64) -> String) -> Self {
        let until = if until > 0.0 { until } else { 1.0 };
        let ticks = RangedCoordf64::from(0.0..until).key_points(tick_count);
        Self { from: 0.0, until, ticks, label }
    }

    /// An axis of logarithms of ten: ticks at 1, 2, 5 of each decade, more of them within one, and at decades when there are many.
    #[must_use]
    pub fn logarithmic(low: f64, high: f64, label: fn(f64) -> String) -> Self {
        let (from, until) = (low.max(1.0).log10(), high.max(2.0).log10());
        let steps: &[f64] = match until - from {
            ..1.0 => &[1.0, 2.0, 3.0, 5.0, 7.0],
            ..3.0 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let decades = from.floor() as i32..=until.ceil() as i32;
        let all = decades.flat_map(|decade| steps.iter().map(move |step| f64::from(decade) + step.log10()));
        let ticks = all.filter(|tick| (from..=until).contains(tick)).collect();
        Self { from, until, ticks, label }
    }
}

/// The chart as an `svg` element.
///
/// # Panics
/// Never: drawing into a string does not fail.
#[must_use]
pub fn draw(x: &Axis, y: &Axis, lines: &[Line]) -> String {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        draw_on(&area, x, y, lines).expect("drawing into a string does not fail");
        area.present().expect("drawing into a string does not fail");
    }
    svg
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type DrawError<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as plotters::backend::DrawingBackend>::ErrorType>;

fn draw_on<'a>(area: &Area<'a>, x: &Axis, y: &Axis, lines: &[Line]) -> Result<(), DrawError<'a>> {
    let mut chart = ChartBuilder::on(area)
        .margin_top(12)
        .margin_right(28)
        .x_label_area_size(34)
        .y_label_area_size(78)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .x_labels(x.ticks.len().max(1))
        .y_labels(y.ticks.len().max(1))
        .bold_line_style(GRID)
        .light_line_style(GRID)
        .axis_style(AXIS)
        .label_style(("sans-serif", 13).into_font().color(&INK))
        .draw()?;
    for line in lines {
        let style: ShapeStyle = line.color.stroke_width(2);
        let points = line.points.iter().copied();
        if line.dashed {
            chart.draw_series(DashedLineSeries::new(points, 6, 5, style))?;
        } else {
            chart.draw_series(LineSeries::new(points, style))?;
        }
        if let Some(last) = line.points.last().filter(|_| line.dot) {
            chart.draw_series([Circle::new(*last, 5, line.color.filled())])?;
        }
    }
    Ok(())
}
