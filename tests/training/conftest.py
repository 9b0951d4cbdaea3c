from support.small_people import arguments, dataset_folder, environment, llava_folder, source

__all__ = ["arguments", "dataset_folder", "environment", "llava_folder", "source"]
