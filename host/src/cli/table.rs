//! Columns of text, aligned by what is seen of it.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr as _;

use super::terminal::{BOLD, escaped};

/// Which way a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A table with a header.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(columns: impl IntoIterator<Item = (&'static str, Align)>) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; cells beyond the columns are not shown, and missing ones are
    /// empty.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> = cells
            .into_iter()
            .map(|cell| escaped(&cell).into_owned())
            .collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// Writes the table. The header is bold where `out` takes styles.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, (title, _))| {
                let cells = self.rows.iter().map(|row| row[index].width());
                cells.chain([title.width()]).max().unwrap_or(0)
            })
            .collect();
        let header: Vec<&str> = self.columns.iter().map(|(title, _)| *title).collect();
        writeln!(out, "{BOLD}{}{BOLD:#}", self.line(&header, &widths))?;
        for row in &self.rows {
            let row: Vec<&str> = row.iter().map(String::as_str).collect();
            writeln!(out, "{}", self.line(&row, &widths))?;
        }
        Ok(())
    }

    fn line(&self, cells: &[&str], widths: &[usize]) -> String {
        let mut line = String::new();
        for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
            if index > 0 {
                line.push_str("  ");
            }
            let space = " ".repeat(width - cell.width());
            match self.columns[index].1 {
                Align::Left => line.extend([*cell, space.as_str()]),
                Align::Right => line.extend([space.as_str(), *cell]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_their_width_on_the_screen() {
        let mut table = Table::new([
            ("Model", Align::Left),
            ("Context", Align::Right),
            ("Source", Align::Left),
        ]);
        table.row(["vllm/a".into(), "40,960".into(), "declared".into()]);
        table.row(["vllm/漢字\u{1b}[2J".into(), "8".into()]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        let text = anstream::adapter::strip_bytes(&out).into_vec();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "Model               Context  Source\n\
             vllm/a               40,960  declared\n\
             vllm/漢字\\u{1b}[2J        8\n"
        );
    }
}
