//! What the packet path counts, in plain integers, copied to the metrics registry once a second.

/// Counts since the last publication.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counters {
    pub(crate) packets_in: u64,
    pub(crate) packets_out: u64,
    pub(crate) send_runs: u64,
    pub(crate) send_dropped: u64,
    pub(crate) send_deferred: u64,
    pub(crate) datagrams_unknown: u64,
    pub(crate) media_unclaimed: u64,
    pub(crate) media_superseded: u64,
    pub(crate) data_refused: u64,
    pub(crate) data_dropped: u64,
    pub(crate) data_over_budget: u64,
    pub(crate) data_track_received: u64,
    pub(crate) data_track_refused: u64,
    pub(crate) data_track_copies: u64,
    pub(crate) data_track_dropped: u64,
    pub(crate) peers_failed: u64,
    pub(crate) events_dropped: u64,
    pub(crate) aic_received: u64,
    pub(crate) aic_refused: u64,
    pub(crate) aic_truncated: u64,
    pub(crate) aic_deepened: u64,
    pub(crate) aic_transcoded: u64,
}

impl Counters {
    /// Adds everything to the registry and starts again at zero.
    pub(crate) fn publish(&mut self, shard: usize) {
        let shard = shard.to_string();
        let taken = std::mem::take(self);
        for (name, value) in [
            ("aura_sfu_rtp_received_packets_total", taken.packets_in),
            ("aura_sfu_datagrams_sent_total", taken.packets_out),
            ("aura_sfu_send_runs_total", taken.send_runs),
            ("aura_sfu_send_dropped_total", taken.send_dropped),
            ("aura_sfu_send_deferred_total", taken.send_deferred),
            ("aura_sfu_datagrams_unknown_total", taken.datagrams_unknown),
            ("aura_sfu_media_unclaimed_packets_total", taken.media_unclaimed),
            ("aura_sfu_media_superseded_packets_total", taken.media_superseded),
            ("aura_sfu_data_refused_total", taken.data_refused),
            ("aura_sfu_data_dropped_total", taken.data_dropped),
            ("aura_sfu_data_over_budget_total", taken.data_over_budget),
            ("aura_sfu_data_track_received_packets_total", taken.data_track_received),
            ("aura_sfu_data_track_refused_packets_total", taken.data_track_refused),
            ("aura_sfu_data_track_forwarded_packets_total", taken.data_track_copies),
            ("aura_sfu_data_track_dropped_packets_total", taken.data_track_dropped),
            ("aura_sfu_connections_failed_total", taken.peers_failed),
            ("aura_sfu_events_dropped_total", taken.events_dropped),
            ("aura_sfu_aic_received_packets_total", taken.aic_received),
            ("aura_sfu_aic_refused_packets_total", taken.aic_refused),
            ("aura_sfu_aic_truncated_packets_total", taken.aic_truncated),
            ("aura_sfu_aic_deepened_packets_total", taken.aic_deepened),
            ("aura_sfu_aic_transcoded_packets_total", taken.aic_transcoded),
        ] {
            metrics::counter!(name, "shard" => shard.clone()).increment(value);
        }
    }
}
