"""All packaging families: one file each, one line here."""

from .beverage_can import BeverageCanConfig, build_beverage_can
from .blister_pack import BlisterPackConfig, build_blister_pack
from .book import BookConfig, build_book
from .corrugated_shipper import CorrugatedShipperConfig, build_corrugated_shipper
from .detergent_bottle import DetergentBottleConfig, build_detergent_bottle
from .folding_carton import FoldingCartonConfig, build_folding_carton
from .glass_jar import GlassJarConfig, build_glass_jar
from .imported_mesh import ImportedMeshConfig, build_imported_mesh
from .loose_set import LooseSetConfig, build_loose_set
from .multipack import MultipackConfig, build_multipack
from .padded_mailer import PaddedMailerConfig, build_padded_mailer
from .pet_bottle import PetBottleConfig, build_pet_bottle
from .pillow_bag import PillowBagConfig, build_pillow_bag
from .poly_mailer import PolyMailerConfig, build_poly_mailer
from .product import Family
from .sleeve_set import SleeveSetConfig, build_sleeve_set
from .standup_pouch import StandupPouchConfig, build_standup_pouch
from .tin import TinConfig, build_tin
from .tube import TubeConfig, build_tube

FAMILIES: dict[str, Family] = {
    "beverage_can": (BeverageCanConfig, build_beverage_can),
    "blister_pack": (BlisterPackConfig, build_blister_pack),
    "book": (BookConfig, build_book),
    "corrugated_shipper": (CorrugatedShipperConfig, build_corrugated_shipper),
    "detergent_bottle": (DetergentBottleConfig, build_detergent_bottle),
    "folding_carton": (FoldingCartonConfig, build_folding_carton),
    "glass_jar": (GlassJarConfig, build_glass_jar),
    "imported_mesh": (ImportedMeshConfig, build_imported_mesh),
    "loose_set": (LooseSetConfig, build_loose_set),
    "multipack": (MultipackConfig, build_multipack),
    "padded_mailer": (PaddedMailerConfig, build_padded_mailer),
    "pet_bottle": (PetBottleConfig, build_pet_bottle),
    "pillow_bag": (PillowBagConfig, build_pillow_bag),
    "poly_mailer": (PolyMailerConfig, build_poly_mailer),
    "sleeve_set": (SleeveSetConfig, build_sleeve_set),
    "standup_pouch": (StandupPouchConfig, build_standup_pouch),
    "tin": (TinConfig, build_tin),
    "tube": (TubeConfig, build_tube),
}
