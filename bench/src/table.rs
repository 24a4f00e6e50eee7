//! Formats text in aligned columns.

use std::fmt;

/// Rows of cells. The first column is left-aligned, the others are right-aligned.
pub struct Table(Vec<Vec<String>>);

/// Spaces between two columns.
const GAP: usize = 3;

impl Table {
    pub fn new(header: &[&str]) -> Table {
        Table(vec![header.iter().map(ToString::to_string).collect()])
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.push(cells.into_iter().collect());
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.0.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns).map(|column| self.width(column)).collect();
        for row in &self.0 {
            for (column, cell) in row.iter().enumerate() {
                match column {
                    0 => write!(f, "{cell:<width$}", width = widths[0])?,
                    _ => write!(f, "{cell:>width$}", width = widths[column] + GAP)?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters() {
        let mut table = Table::new(&["", "µs", "spread"]);
        table.row(["floor".to_owned(), "11.4".to_owned(), "1–2".to_owned()]);
        table.row(["sidecar".to_owned(), "9".to_owned(), "–".to_owned()]);
        assert_eq!(
            table.to_string(),
            "            µs   spread\n\
             floor     11.4      1–2\n\
             sidecar      9        –\n"
        );
    }
}
