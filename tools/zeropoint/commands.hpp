#pragma once

namespace CLI {
class App;
}

/// One function a verb: adds the subcommand, its options and what it does.
void add_study_command(CLI::App& app);
void add_runs_command(CLI::App& app);
void add_limits_command(CLI::App& app);
void add_bits_command(CLI::App& app);
void add_bench_command(CLI::App& app);
void add_formats_command(CLI::App& app);
void add_schemes_command(CLI::App& app);
void add_diff_command(CLI::App& app);
void add_analyze_command(CLI::App& app);
void add_quantize_command(CLI::App& app);
