//! Reading figures back out of a running server's metrics.

use reqwest::Method;

use crate::runtime::client::Client;

/// The metrics of a server as it answered them.
pub struct Gauges(String);

impl Gauges {
    /// Asks for them; `None` where the server does not show them to us.
    pub async fn of(client: &Client) -> Option<Self> {
        let answer = client.send(client.request(Method::GET, "/metrics")).await.ok()?;
        answer.text().await.ok().map(Self)
    }

    /// The sum of all series of this name, in whole numbers; `None` where there is none.
    pub fn sum(&self, name: &str) -> Option<u64> {
        let values = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let value = match rest.strip_prefix('{') {
                Some(labels) => labels.rsplit_once("} ")?.1,
                None => rest.strip_prefix(' ')?,
            };
            value.trim().parse::<u64>().ok()
        });
        values.fold(None, |sum: Option<u64>, value| Some(sum.unwrap_or(0).saturating_add(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_are_summed() {
        let gauges = Gauges("# HELP a b\na{ledger=\"x\"} 1\na{ledger=\"y\",z=\"} 9\"} 2\nab 7\nc 4\n".to_owned());
        assert_eq!((gauges.sum("a"), gauges.sum("c"), gauges.sum("d")), (Some(3), Some(4), None));
    }
}
