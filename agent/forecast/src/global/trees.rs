//! Gradient-boosted trees for quantiles, on histograms.
//!
//! **In:** a [`Table`] of features with NaN where nothing is known, one target per row, and the
//! quantile to learn.
//! **Out:** a [`Boosted`] model; equal input gives the equal model, on any machine.
//! **Not here:** what the columns mean ([`super::features`]).
//!
//! Why not a library: `smartcore` 0.7 boosts with exact splits (it sorts every column in every
//! node; 0.25 s per tree for 20,000 rows, so over half an hour for the models of M4 Hourly's half,
//! which take 13 s here; measured 2026-11-21), with squared loss only, and panics on NaN. The
//! loss here is the pinball loss (the absolute error for the median), whose gradients have two
//! values, so a histogram is two counters per bin.
//!
//! Source: Friedman (2001), *Greedy function approximation*, LAD_TreeBoost (leaves hold the
//! quantile of their residuals); Ke et al. (2017), *LightGBM* (histograms, leaf-wise growth).

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "bins fit u8, rows and nodes fit u32 (see ROWS_MAX), counts fit the mantissa"
)]

/// The most rows of a table.
///
/// Why 400,000: 40 bytes each, so 16 MB of bins; the M4 half makes 140,000.
pub(crate) const ROWS_MAX: usize = 400_000;

/// Bins of a column: one for NaN, the others between quantiles of the column.
const BINS: usize = 128;

/// Rows that the bins are computed from.
const BIN_SAMPLE: usize = 40_000;

/// A matrix of features, row after row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    /// Features per row.
    pub(crate) columns: usize,
    /// `columns` values per row; NaN where nothing is known.
    pub(crate) values: Vec<f32>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(columns: usize) -> Table {
        Table { columns, values: Vec::new() }
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> usize {
        self.values.len().checked_div(self.columns).unwrap_or(0)
    }
}

/// How [`Boosted::train`] grows its trees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Growth {
    /// Which quantile to learn, in `(0, 1)`; 0.5 minimises the absolute error.
    pub(crate) quantile: f32,
    /// Trees.
    pub(crate) rounds: usize,
    /// Share of each tree's correction that is applied.
    pub(crate) rate: f32,
    /// Leaves of a tree.
    pub(crate) leaves: usize,
    /// Rows that a leaf needs.
    pub(crate) leaf_rows_min: usize,
    /// Share of the rows that each tree sees.
    pub(crate) row_share: f32,
    /// Share of the columns that each tree sees.
    pub(crate) column_share: f32,
    /// Fixes which rows and columns those are.
    pub(crate) seed: u64,
}

/// Sum of trees.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Boosted {
    columns: usize,
    start: f32,
    trees: Vec<Vec<Node>>,
}

/// A node of a tree; children come after their parent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Node {
    /// Left when the value is at most `threshold` or NaN.
    Split { column: u32, threshold: f32, bin: u8, left: u32, right: u32 },
    /// Correction, rate included.
    Leaf(f32),
}

/// Bins of a table and where they were cut.
struct Binned {
    columns: usize,
    bins: Vec<u8>,
    cuts: Vec<Vec<f32>>,
}

impl Binned {
    fn new(table: &Table) -> Binned {
        let (rows, columns) = (table.rows(), table.columns);
        let stride = rows.div_ceil(BIN_SAMPLE).max(1);
        let cuts: Vec<Vec<f32>> = (0..columns)
            .map(|column| {
                let mut sample: Vec<f32> = (0..rows)
                    .step_by(stride)
                    .map(|row| table.values[row * columns + column])
                    .filter(|value| value.is_finite())
                    .collect();
                sample.sort_by(f32::total_cmp);
                let mut cuts: Vec<f32> = (1..BINS - 1)
                    .filter_map(|k| sample.get(k * sample.len() / (BINS - 1)).copied())
                    .collect();
                cuts.dedup_by(|a, b| a.total_cmp(b).is_eq());
                cuts
            })
            .collect();
        let mut bins = Vec::with_capacity(rows * columns);
        for row in table.values.chunks_exact(columns.max(1)) {
            for (value, cuts) in row.iter().zip(&cuts) {
                bins.push(if value.is_finite() {
                    1 + cuts.partition_point(|cut| *cut < *value) as u8
                } else {
                    0
                });
            }
        }
        Binned { columns, bins, cuts }
    }

    /// Largest value of `bin`.
    fn threshold(&self, column: usize, bin: u8) -> f32 {
        match usize::from(bin).checked_sub(1) {
            Some(index) => self.cuts[column].get(index).copied().unwrap_or(f32::MAX),
            None => f32::MIN,
        }
    }
}

/// A leaf that may still be split: its rows, its histogram and its best split.
struct Open {
    node: usize,
    from: usize,
    to: usize,
    /// Per chosen column and bin: rows in the upper half, rows above the forecast in the lower.
    histogram: Vec<u64>,
    best: Option<Best>,
}

#[derive(Clone, Copy)]
struct Best {
    gain: f64,
    slot: usize,
    bin: u8,
}

impl Boosted {
    /// Learns `growth.quantile` of the target given the features.
    ///
    /// Returns `None` for an empty table, one that exceeds [`ROWS_MAX`], or targets that are
    /// not finite or not one per row.
    pub(crate) fn train(table: &Table, targets: &[f32], growth: &Growth) -> Option<Boosted> {
        let rows = table.rows();
        if rows == 0 || rows > ROWS_MAX || targets.len() != rows {
            return None;
        }
        if !targets.iter().all(|target| target.is_finite()) {
            return None;
        }
        let binned = Binned::new(table);
        let mut scratch = targets.to_vec();
        let start = quantile_of(&mut scratch, growth.quantile);
        let mut fit = vec![start; rows];
        let mut above = vec![0_u8; rows];
        let mut chance = Chance(growth.seed ^ 0x9E37_79B9_7F4A_7C15);
        let mut trees = Vec::with_capacity(growth.rounds);
        let mut order: Vec<u32> = Vec::with_capacity(rows);
        for _ in 0..growth.rounds {
            for ((flag, target), fitted) in above.iter_mut().zip(targets).zip(&fit) {
                *flag = u8::from(target > fitted);
            }
            order.clear();
            let mut left_out = Vec::with_capacity(rows / 2);
            for row in 0..rows as u32 {
                if chance.share() < growth.row_share {
                    order.push(row);
                } else {
                    left_out.push(row);
                }
            }
            let columns = chance.pick(table.columns, growth.column_share);
            let (tree, leaves) = grow(&binned, &above, &mut order, &columns, growth);
            let mut tree = tree;
            for (node, from, to) in leaves {
                scratch.clear();
                scratch.extend(
                    order[from..to].iter().map(|row| targets[*row as usize] - fit[*row as usize]),
                );
                let correction = quantile_of(&mut scratch, growth.quantile) * growth.rate;
                tree[node] = Node::Leaf(correction);
                for row in &order[from..to] {
                    fit[*row as usize] += correction;
                }
            }
            for row in left_out {
                let at = row as usize * table.columns;
                fit[row as usize] += walk_bins(&tree, &binned.bins[at..at + table.columns]);
            }
            trees.push(tree);
        }
        Some(Boosted { columns: table.columns, start, trees })
    }

    /// The learned quantile for one row of features.
    pub(crate) fn value(&self, row: &[f32]) -> f32 {
        if row.len() != self.columns {
            return self.start;
        }
        let mut sum = self.start;
        for tree in &self.trees {
            let mut at = 0;
            loop {
                match tree[at] {
                    Node::Split { column, threshold, left, right, .. } => {
                        let value = row[column as usize];
                        at = if value > threshold { right } else { left } as usize;
                    }
                    Node::Leaf(correction) => {
                        sum += correction;
                        break;
                    }
                }
            }
        }
        sum
    }
}

fn walk_bins(tree: &[Node], bins: &[u8]) -> f32 {
    let mut at = 0;
    loop {
        match tree[at] {
            Node::Split { column, bin, left, right, .. } => {
                at = if bins[column as usize] > bin { right } else { left } as usize;
            }
            Node::Leaf(correction) => return correction,
        }
    }
}

/// One tree with empty leaves, and for each leaf its node and its range in `order`.
fn grow(
    binned: &Binned,
    above: &[u8],
    order: &mut [u32],
    columns: &[usize],
    growth: &Growth,
) -> (Vec<Node>, Vec<(usize, usize, usize)>) {
    let mut tree = vec![Node::Leaf(0.0)];
    let histogram = histogram(binned, above, order, columns);
    let best = best_split(&histogram, columns.len(), growth);
    let mut open = vec![Open { node: 0, from: 0, to: order.len(), histogram, best }];
    while open.len() < growth.leaves {
        // The first of equal gains, so the result has no hidden order.
        let Some((index, best)) = open
            .iter()
            .enumerate()
            .filter_map(|(index, leaf)| leaf.best.map(|best| (index, best)))
            .reduce(|a, b| if b.1.gain > a.1.gain { b } else { a })
        else {
            break;
        };
        let mut parent = open.swap_remove(index);
        let column = columns[best.slot];
        let rows = &mut order[parent.from..parent.to];
        let middle = parent.from
            + partition(rows, |row| {
                binned.bins[row as usize * binned.columns + column] <= best.bin
            });
        let (left, right) = (tree.len(), tree.len() + 1);
        tree[parent.node] = Node::Split {
            column: column as u32,
            threshold: binned.threshold(column, best.bin),
            bin: best.bin,
            left: left as u32,
            right: right as u32,
        };
        tree.extend([Node::Leaf(0.0), Node::Leaf(0.0)]);
        let left_is_small = middle - parent.from < parent.to - middle;
        let small =
            if left_is_small { &order[parent.from..middle] } else { &order[middle..parent.to] };
        let small = self::histogram(binned, above, small, columns);
        for (sum, part) in parent.histogram.iter_mut().zip(&small) {
            *sum -= part;
        }
        let (low, high) =
            if left_is_small { (small, parent.histogram) } else { (parent.histogram, small) };
        for (node, from, to, histogram) in
            [(left, parent.from, middle, low), (right, middle, parent.to, high)]
        {
            let best = best_split(&histogram, columns.len(), growth);
            open.push(Open { node, from, to, histogram, best });
        }
    }
    let leaves = open.iter().map(|leaf| (leaf.node, leaf.from, leaf.to)).collect();
    (tree, leaves)
}

fn histogram(binned: &Binned, above: &[u8], rows: &[u32], columns: &[usize]) -> Vec<u64> {
    let mut sums = vec![0_u64; columns.len() * BINS];
    for row in rows {
        let row = *row as usize;
        let bins = &binned.bins[row * binned.columns..(row + 1) * binned.columns];
        let one = (1 << 32) | u64::from(above[row]);
        for (sums, column) in sums.chunks_exact_mut(BINS).zip(columns) {
            sums[usize::from(bins[*column]) % BINS] += one;
        }
    }
    sums
}

/// The split with the largest drop of squared gradient, if any leaves enough rows on both sides.
fn best_split(histogram: &[u64], slots: usize, growth: &Growth) -> Option<Best> {
    let quantile = f64::from(growth.quantile);
    let gradient = |packed: u64| {
        let (rows, above) = ((packed >> 32) as f64, (packed & 0xFFFF_FFFF) as f64);
        (rows, above - rows * (1.0 - quantile))
    };
    let total: u64 = histogram.get(..BINS)?.iter().sum();
    let (rows_all, sum_all) = gradient(total);
    let least = growth.leaf_rows_min as f64;
    if rows_all < 2.0 * least {
        return None;
    }
    let mut best: Option<Best> = None;
    for slot in 0..slots {
        let mut packed = 0;
        for (bin, part) in histogram[slot * BINS..(slot + 1) * BINS].iter().enumerate() {
            if *part == 0 {
                continue;
            }
            packed += part;
            let (rows, sum) = gradient(packed);
            if rows < least {
                continue;
            }
            if rows_all - rows < least {
                break;
            }
            let rest = sum_all - sum;
            let gain =
                sum * sum / rows + rest * rest / (rows_all - rows) - sum_all * sum_all / rows_all;
            if gain > best.map_or(1e-9, |best| best.gain) {
                best = Some(Best { gain, slot, bin: bin as u8 });
            }
        }
    }
    best
}

/// Moves the rows that belong left to the front, keeping no order; returns how many.
fn partition(rows: &mut [u32], belongs_left: impl Fn(u32) -> bool) -> usize {
    let (mut low, mut high) = (0, rows.len());
    while low < high {
        if belongs_left(rows[low]) {
            low += 1;
        } else {
            high -= 1;
            rows.swap(low, high);
        }
    }
    low
}

/// The lower empirical quantile; 0 for an empty slice. Reorders `values`.
fn quantile_of(values: &mut [f32], quantile: f32) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let rank = ((values.len() - 1) as f32 * quantile).round() as usize;
    let rank = rank.min(values.len() - 1);
    *values.select_nth_unstable_by(rank, f32::total_cmp).1
}

/// SplitMix64 (Steele et al. 2014): enough to choose rows, and equal everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    fn share(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// That share of `0..n`, at least one, ascending.
    fn pick(&mut self, n: usize, share: f32) -> Vec<usize> {
        let wanted = ((n as f32 * share).ceil() as usize).clamp(1, n.max(1));
        let mut all: Vec<usize> = (0..n).collect();
        for at in 0..wanted.min(n) {
            let other = at + (self.next() % (n - at) as u64) as usize;
            all.swap(at, other);
        }
        all.truncate(wanted);
        all.sort_unstable();
        all
    }
}
