"""What a command's arguments can name.

These are copies: where the names belong, importing them imports torch, which takes seconds, and `--help`, a wrong
argument or a shell's completion should not wait for it. The tests hold every tuple against its original.
"""

NETWORKS = (
    *("alexnet", "vgg16", "resnet18", "resnet34", "resnet50", "mobilenet_v2", "mobilenet_v3_large"),
    *("efficientnet_b0", "bert_base_block", "vit_b16_block", "gpt2_small_prefill", "gpt2_small_decode"),
)
MACHINES = ("eyeriss", "simba", "gemmini", "tpu", "generic")
ACCELERATORS = ("accelbench",)  # that only a co-search takes
TECHNOLOGIES = ("65nm", "45nm", "32nm", "28nm", "20nm", "16nm", "14nm", "10nm", "7nm", "eyeriss-normalised")
DRAMS = ("LPDDR4", "DDR3", "HBM2", "GDDR5", "LPDDR5")
OBJECTIVES = ("latency", "energy", "edp", "power", "area")
LIMITED = ("latency", "energy", "power", "area")  # objectives that a budget can limit too
SPACES = ("ofa", "nasbench201", "mnasnet", "resnet", "digits", "graph")
METHODS = (
    *("relaxed", "surrogate", "boshcode", "evolutionary", "local-search", "two-stage", "fixed-network"),
    *("fixed-hardware", "random"),
)
PREDICTORS = ("ridge", "ensemble")
EFFORTS = ("low", "normal", "high")
KEEPS = ("stated", "free")
RULES = ("refetch", "overlap", "timeloop")
COPIES = ("1", "2", "fit")
PICTURES = (".png", ".svg", ".pdf")
PAGES = (".html", ".htm")
DEVICES = ("cpu", "cuda")
SHELLS = ("bash", "zsh", "fish")
VERSIONS = ("0.3", "0.4")
DRAM_LATENCY = 100.0  # cycles
