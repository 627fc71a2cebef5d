//! What pages with charts are made of: they load nothing from anywhere.

/// The look of a page.
pub const STYLE: &str = include_str!("../page/page.css");
/// uPlot 1.6.32, as published in the npm registry.
pub const UPLOT_STYLE: &str = include_str!("../page/uplot/uPlot.min.css");
/// Draws charts.
pub const UPLOT_SCRIPT: &str = include_str!("../page/uplot/uPlot.iife.min.js");
/// Goes with the two above.
pub const UPLOT_LICENCE: &str = include_str!("../page/uplot/LICENSE");
