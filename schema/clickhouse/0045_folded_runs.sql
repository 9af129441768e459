-- Whether a trace has neither call, tool, agent nor evaluation, and nothing that is billed: of those senders make many
-- (Codex 17 for one turn), and lists leave them out.
ALTER TABLE run_sums ADD COLUMN IF NOT EXISTS Folded UInt8 DEFAULT LlmCalls = 0 AND ToolCalls = 0 AND empty(Agents) AFTER LastReceived;
