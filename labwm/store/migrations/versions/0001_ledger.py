"""Make the ledger's first tables."""

import sqlalchemy as sa
from alembic import op

from labwm.store.triggers import protect, seal_origins

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


LEGAL = {
    "campaign": {"new": "open", "open": "done stopped", "stopped": "open"},
    "approval": {"approved": "expired", "awaiting": "approved expired rejected", "drafted": "awaiting expired", "new": "drafted"},
    "submission": {
        "accepted": "cancelled failed finished in_doubt running",
        "in_doubt": "accepted cancelled failed finished running submitting",
        "new": "reserved",
        "reserved": "cancelled submitting",
        "running": "cancelled failed finished in_doubt",
        "submitting": "accepted failed in_doubt",
    },
    "well": {
        "cancelled": "failed measured",
        "excluded": "failed measured",
        "failed": "excluded measured",
        "measured": "excluded failed",
        "new": "planned",
        "planned": "cancelled failed measured",
    },
}

APPEND_ONLY = {
    "protocols": [("name", "version")],
    "campaigns": [("id",)],
    "events": [("campaign_id", "seq")],
    "predictions": [("campaign_id", "id")],
    "proposals": [("campaign_id", "id")],
    "model_cards": [("campaign_id", "id")],
    "batches": [("batch_id",)],
    "jobs": [("submission_key",), ("batch_id", "attempt")],
    "wells": [("submission_key", "well")],
    "observations": [("campaign_id", "id")],
    "datasets": [("id",)],
    "dataset_origins": [("dataset_id", "origin")],
    "dataset_rows": [("dataset_id", "campaign_id", "observation_id")],
    "principals": [("name",)],
    "campaign_legal": [("from_state", "to_state")],
    "approval_legal": [("from_state", "to_state")],
    "submission_legal": [("from_state", "to_state")],
    "well_legal": [("from_state", "to_state")],
    "campaign_moves": [("campaign_id", "step")],
    "approval_moves": [("batch_id", "step")],
    "submission_moves": [("submission_key", "step")],
    "well_moves": [("submission_key", "well", "step")],
}
"""Each table with the columns of its keys; see `protect`."""


def upgrade() -> None:
    op.create_table(
        "approval_legal",
        sa.Column("from_state", sa.String(), nullable=False),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("from_state", "to_state", name=op.f("pk_approval_legal")),
    )
    op.create_table(
        "campaign_legal",
        sa.Column("from_state", sa.String(), nullable=False),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("from_state", "to_state", name=op.f("pk_campaign_legal")),
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
    )
    op.create_table(
        "principals",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.CheckConstraint("kind IN ('person', 'agent', 'service')", name=op.f("ck_principals_kind")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_principals")),
        sa.UniqueConstraint("name", "kind", name=op.f("uq_principals_name_kind")),
    )
    op.create_table(
        "protocols",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_protocols")),
        sa.UniqueConstraint("name", "version", "sha256", name=op.f("uq_protocols_name_version_sha256")),
    )
    op.create_table(
        "submission_legal",
        sa.Column("from_state", sa.String(), nullable=False),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("from_state", "to_state", name=op.f("pk_submission_legal")),
    )
    op.create_table(
        "well_legal",
        sa.Column("from_state", sa.String(), nullable=False),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("from_state", "to_state", name=op.f("pk_well_legal")),
    )
    op.create_table(
        "campaigns",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("protocol_name", sa.String(), nullable=False),
        sa.Column("protocol_version", sa.Integer(), nullable=False),
        sa.Column("protocol_sha256", sa.String(), nullable=False),
        sa.Column("opened_at", sa.String(), nullable=False),
        sa.Column("opened_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["protocol_name", "protocol_version", "protocol_sha256"],
            ["protocols.name", "protocols.version", "protocols.sha256"],
            name=op.f("fk_campaigns_protocol_name_protocols"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
    )
    op.create_table(
        "dataset_origins",
        sa.Column("dataset_id", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_dataset_origins_dataset_id_datasets")),
        sa.PrimaryKeyConstraint("dataset_id", "origin", name=op.f("pk_dataset_origins")),
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("revoked_at", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["principal"], ["principals.name"], name=op.f("fk_keys_principal_principals")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
        sa.UniqueConstraint("sha256", name=op.f("uq_keys_sha256")),
    )
    op.create_table(
        "events",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("previous_seq", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=True),
        sa.Column("prev_sha256", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.CheckConstraint(
            "(seq = 0 AND previous_seq IS NULL) OR (seq > 0 AND previous_seq IS NOT NULL AND previous_seq = seq - 1)", name=op.f("ck_events_gapless")
        ),
        sa.ForeignKeyConstraint(
            ["campaign_id", "previous_seq", "prev_sha256"], ["events.campaign_id", "events.seq", "events.sha256"], name=op.f("fk_events_campaign_id_events")
        ),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_events_campaign_id_campaigns")),
        sa.PrimaryKeyConstraint("campaign_id", "seq", name=op.f("pk_events")),
        sa.UniqueConstraint("campaign_id", "seq", "sha256", name=op.f("uq_events_campaign_id_seq_sha256")),
    )
    op.create_index(op.f("ix_events_campaign_id_kind"), "events", ["campaign_id", "kind"], unique=False)
    op.create_table(
        "leases",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=True),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_leases_campaign_id_campaigns")),
        sa.PrimaryKeyConstraint("campaign_id", name=op.f("pk_leases")),
    )
    op.create_table(
        "batches",
        sa.Column("batch_id", sa.String(), nullable=False),
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("content_sha256", sa.String(), nullable=False),
        sa.Column("proposer", sa.String(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id", "event_seq"], ["events.campaign_id", "events.seq"], name=op.f("fk_batches_campaign_id_events")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_batches")),
        sa.UniqueConstraint("batch_id", "content_sha256", name=op.f("uq_batches_batch_id_content_sha256")),
    )
    op.create_index(op.f("ix_batches_campaign_id_event_seq"), "batches", ["campaign_id", "event_seq"], unique=False)
    op.create_table(
        "campaign_moves",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("previous_step", sa.Integer(), nullable=True),
        sa.Column("from_state", sa.String(), nullable=False),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(step = 0 AND previous_step IS NULL AND from_state = 'new') OR (step > 0 AND previous_step IS NOT NULL AND previous_step = step - 1)",
            name=op.f("ck_campaign_moves_gapless"),
        ),
        sa.ForeignKeyConstraint(["campaign_id", "event_seq"], ["events.campaign_id", "events.seq"], name="fk_campaign_moves_event"),
        sa.ForeignKeyConstraint(
            ["campaign_id", "previous_step", "from_state"],
            ["campaign_moves.campaign_id", "campaign_moves.step", "campaign_moves.to_state"],
            name=op.f("fk_campaign_moves_campaign_id_campaign_moves"),
        ),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_moves_campaign_id_campaigns")),
        sa.ForeignKeyConstraint(
            ["from_state", "to_state"], ["campaign_legal.from_state", "campaign_legal.to_state"], name=op.f("fk_campaign_moves_from_state_campaign_legal")
        ),
        sa.PrimaryKeyConstraint("campaign_id", "step", name=op.f("pk_campaign_moves")),
        sa.UniqueConstraint("campaign_id", "step", "to_state", name=op.f("uq_campaign_moves_campaign_id_step_to_state")),
    )
    op.create_index("ix_campaign_moves_event", "campaign_moves", ["campaign_id", "event_seq"], unique=False)
    op.create_table(
        "model_cards",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id", "event_seq"], ["events.campaign_id", "events.seq"], name=op.f("fk_model_cards_campaign_id_events")),
        sa.PrimaryKeyConstraint("campaign_id", "id", name=op.f("pk_model_cards")),
    )
    op.create_index(op.f("ix_model_cards_campaign_id_event_seq"), "model_cards", ["campaign_id", "event_seq"], unique=False)
    op.create_table(
        "predictions",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id", "event_seq"], ["events.campaign_id", "events.seq"], name=op.f("fk_predictions_campaign_id_events")),
        sa.PrimaryKeyConstraint("campaign_id", "id", name=op.f("pk_predictions")),
    )
    op.create_index(op.f("ix_predictions_campaign_id_event_seq"), "predictions", ["campaign_id", "event_seq"], unique=False)
    op.create_table(
        "approval_moves",
        sa.Column("batch_id", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("previous_step", sa.Integer(), nullable=True),
        sa.Column("from_state", sa.String(), nullable=False),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(step = 0 AND previous_step IS NULL AND from_state = 'new') OR (step > 0 AND previous_step IS NOT NULL AND previous_step = step - 1)",
            name=op.f("ck_approval_moves_gapless"),
        ),
        sa.ForeignKeyConstraint(
            ["batch_id", "previous_step", "from_state"],
            ["approval_moves.batch_id", "approval_moves.step", "approval_moves.to_state"],
            name=op.f("fk_approval_moves_batch_id_approval_moves"),
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.batch_id"], name=op.f("fk_approval_moves_batch_id_batches")),
        sa.ForeignKeyConstraint(["campaign_id", "event_seq"], ["events.campaign_id", "events.seq"], name="fk_approval_moves_event"),
        sa.ForeignKeyConstraint(
            ["from_state", "to_state"], ["approval_legal.from_state", "approval_legal.to_state"], name=op.f("fk_approval_moves_from_state_approval_legal")
        ),
        sa.PrimaryKeyConstraint("batch_id", "step", name=op.f("pk_approval_moves")),
        sa.UniqueConstraint("batch_id", "step", "to_state", name=op.f("uq_approval_moves_batch_id_step_to_state")),
    )
    op.create_index("ix_approval_moves_event", "approval_moves", ["campaign_id", "event_seq"], unique=False)
    op.create_table(
        "campaign_states",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id", "step", "state"],
            ["campaign_moves.campaign_id", "campaign_moves.step", "campaign_moves.to_state"],
            name=op.f("fk_campaign_states_campaign_id_campaign_moves"),
        ),
        sa.PrimaryKeyConstraint("campaign_id", name=op.f("pk_campaign_states")),
    )
    op.create_index(op.f("ix_campaign_states_state"), "campaign_states", ["state"], unique=False)
    op.create_table(
        "proposals",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("proposer", sa.String(), nullable=False),
        sa.Column("prediction_id", sa.String(), nullable=True),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id", "event_seq"], ["events.campaign_id", "events.seq"], name=op.f("fk_proposals_campaign_id_events")),
        sa.ForeignKeyConstraint(
            ["campaign_id", "prediction_id"], ["predictions.campaign_id", "predictions.id"], name=op.f("fk_proposals_campaign_id_predictions")
        ),
        sa.PrimaryKeyConstraint("campaign_id", "id", name=op.f("pk_proposals")),
    )
    op.create_index(op.f("ix_proposals_campaign_id_event_seq"), "proposals", ["campaign_id", "event_seq"], unique=False)
    op.create_index(op.f("ix_proposals_campaign_id_round_rank"), "proposals", ["campaign_id", "round", "rank"], unique=False)
    op.create_table(
        "approval_states",
        sa.Column("batch_id", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id", "step", "state"],
            ["approval_moves.batch_id", "approval_moves.step", "approval_moves.to_state"],
            name=op.f("fk_approval_states_batch_id_approval_moves"),
        ),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_approval_states")),
    )
    op.create_index(op.f("ix_approval_states_state"), "approval_states", ["state"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("submission_key", sa.String(), nullable=False),
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("batch_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("content_sha256", sa.String(), nullable=False),
        sa.Column("approval_step", sa.Integer(), nullable=False),
        sa.Column("approval", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("lab", sa.String(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.CheckConstraint("approval = 'approved'", name=op.f("ck_jobs_approved")),
        sa.ForeignKeyConstraint(
            ["batch_id", "approval_step", "approval"],
            ["approval_moves.batch_id", "approval_moves.step", "approval_moves.to_state"],
            name=op.f("fk_jobs_batch_id_approval_moves"),
        ),
        sa.ForeignKeyConstraint(["batch_id", "content_sha256"], ["batches.batch_id", "batches.content_sha256"], name=op.f("fk_jobs_batch_id_batches")),
        sa.ForeignKeyConstraint(["campaign_id", "event_seq"], ["events.campaign_id", "events.seq"], name=op.f("fk_jobs_campaign_id_events")),
        sa.PrimaryKeyConstraint("submission_key", name=op.f("pk_jobs")),
        sa.UniqueConstraint("batch_id", "attempt", name=op.f("uq_jobs_batch_id_attempt")),
    )
    op.create_index(op.f("ix_jobs_campaign_id_event_seq"), "jobs", ["campaign_id", "event_seq"], unique=False)
    op.create_index(op.f("ix_jobs_campaign_id_round"), "jobs", ["campaign_id", "round"], unique=False)
    op.create_table(
        "submission_moves",
        sa.Column("submission_key", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("previous_step", sa.Integer(), nullable=True),
        sa.Column("from_state", sa.String(), nullable=False),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(step = 0 AND previous_step IS NULL AND from_state = 'new') OR (step > 0 AND previous_step IS NOT NULL AND previous_step = step - 1)",
            name=op.f("ck_submission_moves_gapless"),
        ),
        sa.ForeignKeyConstraint(["campaign_id", "event_seq"], ["events.campaign_id", "events.seq"], name="fk_submission_moves_event"),
        sa.ForeignKeyConstraint(
            ["from_state", "to_state"],
            ["submission_legal.from_state", "submission_legal.to_state"],
            name=op.f("fk_submission_moves_from_state_submission_legal"),
        ),
        sa.ForeignKeyConstraint(
            ["submission_key", "previous_step", "from_state"],
            ["submission_moves.submission_key", "submission_moves.step", "submission_moves.to_state"],
            name=op.f("fk_submission_moves_submission_key_submission_moves"),
        ),
        sa.ForeignKeyConstraint(["submission_key"], ["jobs.submission_key"], name=op.f("fk_submission_moves_submission_key_jobs")),
        sa.PrimaryKeyConstraint("submission_key", "step", name=op.f("pk_submission_moves")),
        sa.UniqueConstraint("submission_key", "step", "to_state", name=op.f("uq_submission_moves_submission_key_step_to_state")),
    )
    op.create_index("ix_submission_moves_event", "submission_moves", ["campaign_id", "event_seq"], unique=False)
    op.create_table(
        "wells",
        sa.Column("submission_key", sa.String(), nullable=False),
        sa.Column("well", sa.String(), nullable=False),
        sa.Column("proposal_id", sa.String(), nullable=False),
        sa.Column("replicate", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["submission_key"], ["jobs.submission_key"], name=op.f("fk_wells_submission_key_jobs")),
        sa.PrimaryKeyConstraint("submission_key", "well", name=op.f("pk_wells")),
    )
    op.create_index(op.f("ix_wells_proposal_id"), "wells", ["proposal_id"], unique=False)
    op.create_table(
        "observations",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("slot", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("measured_at", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("job_key", sa.String(), nullable=True),
        sa.Column("well", sa.String(), nullable=True),
        sa.Column("proposal_id", sa.String(), nullable=True),
        sa.Column("raw_sha256", sa.String(), nullable=True),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id", "event_seq"], ["events.campaign_id", "events.seq"], name=op.f("fk_observations_campaign_id_events")),
        sa.ForeignKeyConstraint(["job_key", "well"], ["wells.submission_key", "wells.well"], name="fk_obs_well"),
        sa.PrimaryKeyConstraint("campaign_id", "id", name=op.f("pk_observations")),
        sa.UniqueConstraint("campaign_id", "id", "origin", name=op.f("uq_observations_campaign_id_id_origin")),
    )
    op.create_index(op.f("ix_observations_campaign_id_event_seq"), "observations", ["campaign_id", "event_seq"], unique=False)
    op.create_index(op.f("ix_observations_campaign_id_slot"), "observations", ["campaign_id", "slot"], unique=False)
    op.create_index(op.f("ix_observations_job_key"), "observations", ["job_key"], unique=False)
    op.create_index(op.f("ix_observations_raw_sha256"), "observations", ["raw_sha256"], unique=False)
    op.create_table(
        "submission_states",
        sa.Column("submission_key", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["submission_key", "step", "state"],
            ["submission_moves.submission_key", "submission_moves.step", "submission_moves.to_state"],
            name=op.f("fk_submission_states_submission_key_submission_moves"),
        ),
        sa.PrimaryKeyConstraint("submission_key", name=op.f("pk_submission_states")),
    )
    op.create_index(op.f("ix_submission_states_state"), "submission_states", ["state"], unique=False)
    op.create_table(
        "well_moves",
        sa.Column("submission_key", sa.String(), nullable=False),
        sa.Column("well", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("previous_step", sa.Integer(), nullable=True),
        sa.Column("from_state", sa.String(), nullable=False),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(step = 0 AND previous_step IS NULL AND from_state = 'new') OR (step > 0 AND previous_step IS NOT NULL AND previous_step = step - 1)",
            name=op.f("ck_well_moves_gapless"),
        ),
        sa.ForeignKeyConstraint(["campaign_id", "event_seq"], ["events.campaign_id", "events.seq"], name="fk_well_moves_event"),
        sa.ForeignKeyConstraint(["from_state", "to_state"], ["well_legal.from_state", "well_legal.to_state"], name=op.f("fk_well_moves_from_state_well_legal")),
        sa.ForeignKeyConstraint(
            ["submission_key", "well", "previous_step", "from_state"],
            ["well_moves.submission_key", "well_moves.well", "well_moves.step", "well_moves.to_state"],
            name=op.f("fk_well_moves_submission_key_well_moves"),
        ),
        sa.ForeignKeyConstraint(["submission_key", "well"], ["wells.submission_key", "wells.well"], name=op.f("fk_well_moves_submission_key_wells")),
        sa.PrimaryKeyConstraint("submission_key", "well", "step", name=op.f("pk_well_moves")),
        sa.UniqueConstraint("submission_key", "well", "step", "to_state", name=op.f("uq_well_moves_submission_key_well_step_to_state")),
    )
    op.create_index("ix_well_moves_event", "well_moves", ["campaign_id", "event_seq"], unique=False)
    op.create_table(
        "dataset_rows",
        sa.Column("dataset_id", sa.String(), nullable=False),
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("observation_id", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id", "observation_id", "origin"],
            ["observations.campaign_id", "observations.id", "observations.origin"],
            name=op.f("fk_dataset_rows_campaign_id_observations"),
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id", "origin"], ["dataset_origins.dataset_id", "dataset_origins.origin"], name=op.f("fk_dataset_rows_dataset_id_dataset_origins")
        ),
        sa.PrimaryKeyConstraint("dataset_id", "campaign_id", "observation_id", name=op.f("pk_dataset_rows")),
    )
    op.create_table(
        "observation_slots",
        sa.Column("campaign_id", sa.String(), nullable=False),
        sa.Column("slot", sa.String(), nullable=False),
        sa.Column("observation_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id", "observation_id"], ["observations.campaign_id", "observations.id"], name=op.f("fk_observation_slots_campaign_id_observations")
        ),
        sa.PrimaryKeyConstraint("campaign_id", "slot", name=op.f("pk_observation_slots")),
    )
    op.create_table(
        "well_states",
        sa.Column("submission_key", sa.String(), nullable=False),
        sa.Column("well", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["submission_key", "well", "step", "state"],
            ["well_moves.submission_key", "well_moves.well", "well_moves.step", "well_moves.to_state"],
            name=op.f("fk_well_states_submission_key_well_moves"),
        ),
        sa.PrimaryKeyConstraint("submission_key", "well", name=op.f("pk_well_states")),
    )
    op.create_index(op.f("ix_well_states_state"), "well_states", ["state"], unique=False)
    _fill_legal_steps()
    for table, unique in APPEND_ONLY.items():
        protect(table, *unique)
    seal_origins()


def _fill_legal_steps() -> None:
    for machine, steps in LEGAL.items():
        table = sa.table(f"{machine}_legal", sa.column("from_state"), sa.column("to_state"))
        pairs = [(start, to) for start, ends in steps.items() for to in ends.split()]
        op.bulk_insert(table, [{"from_state": start, "to_state": to} for start, to in pairs])


def downgrade() -> None:
    raise NotImplementedError("Before the first revision there was no ledger.")
