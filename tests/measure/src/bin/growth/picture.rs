//! Four panels with logarithmic scales, as an SVG picture.

use std::fmt;

use plotters::prelude::*;

use crate::Failure;

/// One measured thing.
pub(crate) struct Line {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

impl Line {
    pub(crate) const fn new(name: &'static str, points: Vec<(f64, f64)>) -> Self {
        Self { name, points }
    }
}

pub(crate) struct Panel {
    title: &'static str,
    across: &'static str,
    up: &'static str,
    lines: Vec<Line>,
}

impl Panel {
    pub(crate) const fn new(
        title: &'static str,
        across: &'static str,
        up: &'static str,
        lines: Vec<Line>,
    ) -> Self {
        Self { title, across, up, lines }
    }
}

impl fmt::Display for Panel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {}", self.title, self.up)?;
        for line in &self.lines {
            write!(f, "  {}:", line.name)?;
            line.points.iter().try_for_each(|(x, y)| write!(f, " {x:.0}: {y:.3}"))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

const COLOURS: [RGBColor; 2] = [RGBColor(0, 90, 160), RGBColor(200, 90, 0)];

fn bounds(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    (values.clone().fold(f64::INFINITY, f64::min), values.fold(0.0, f64::max))
}

pub(crate) fn draw(panels: &[Panel]) -> Result<String, Failure> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (960, 640)).into_drawing_area();
        root.fill(&WHITE)?;
        for (area, panel) in root.split_evenly((2, 2)).iter().zip(panels) {
            let points = || panel.lines.iter().flat_map(|line| &line.points);
            let (left, right) = bounds(points().map(|point| point.0));
            let (left, right) = (left / 1.5, right * 1.5);
            // Whole decades, so that both ends have labels.
            let (bottom, top) = bounds(points().map(|point| point.1));
            let (bottom, top) =
                (10f64.powf(bottom.log10().floor()), 10f64.powf(top.log10().ceil()));
            let mut chart = ChartBuilder::on(area)
                .caption(panel.title, ("sans-serif", 15))
                .margin(12)
                .x_label_area_size(36)
                .y_label_area_size(56)
                .build_cartesian_2d((left..right).log_scale(), (bottom..top).log_scale())?;
            let number = |value: &f64| {
                if *value < 1.0 { format!("{value:.2}") } else { format!("{value:.0}") }
            };
            chart
                .configure_mesh()
                .x_desc(panel.across)
                .y_desc(panel.up)
                .x_label_formatter(&number)
                .y_label_formatter(&number)
                .light_line_style(RGBColor(235, 235, 235))
                .draw()?;
            for (line, colour) in panel.lines.iter().zip(COLOURS) {
                let style = colour.stroke_width(2);
                chart
                    .draw_series(LineSeries::new(line.points.iter().copied(), style).point_size(3))?
                    .label(line.name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
            }
            if panel.lines.len() > 1 {
                chart
                    .configure_series_labels()
                    .position(SeriesLabelPosition::UpperRight)
                    .background_style(WHITE)
                    .border_style(RGBColor(200, 200, 200))
                    .draw()?;
            }
        }
        root.present()?;
    }
    Ok(text)
}
